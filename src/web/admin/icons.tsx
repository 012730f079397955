import { icon } from '../ui/icons.tsx'

export const NowMark = icon('M3 12.500h4l2.500-7 4.500 13 2.800-6H21')
export const UploadsMark = icon('M4 6.500h16', 'M4 12h16', 'M4 17.500h10')
export const PoliciesMark = icon(
  'M12 3.500l7.500 3v5.500c0 4.200-3 7-7.500 8.500-4.500-1.500-7.500-4.300-7.500-8.500V6.500z',
  'M9 12l2.200 2.200L15.200 10',
)
export const QuotaMark = icon(
  'M12 3.500a8.500 8.500 0 1 0 8.500 8.500H12z',
  'M15.500 3.800a8.500 8.500 0 0 1 4.700 4.700h-4.700z',
)
export const KeysMark = icon('M14.5 9.500a5 5 0 1 1-3.2-3.2', 'M12.5 11.5 20 4', 'M17 7l2.5 2.5')
export const AuditMark = icon('M6 3.500h12v17H6z', 'M9 8h6', 'M9 12h6', 'M9 16h3')
export const ExplainMark = icon(
  'M12 3.500a8.500 8.500 0 1 0 .01 0',
  'M9.500 9.500a2.500 2.500 0 1 1 3.600 2.300c-.8.4-1.100.9-1.100 1.700',
  'M12 16.500v.1',
)
export const Back = icon('M14.500 6l-6 6 6 6')
