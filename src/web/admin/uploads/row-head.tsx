import type { ComponentChildren } from 'preact'
import type { AnyUpload } from '../../../contract/admin-uploads.ts'
import { FileName } from '../../ui/file-name.tsx'
import { TypeIcon } from '../../ui/icons.tsx'
import { hrefOf } from '../route.ts'

/** The start of an upload's row: type icon, name as a link, and facts. */
export function RowHead({ upload, children }: { upload: AnyUpload; children: ComponentChildren }) {
  return (
    <>
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-text">
        <a class="row-link" href={hrefOf('uploads', upload.id)}>
          <FileName name={upload.filename} />
        </a>
        <p class="facts quiet">{children}</p>
      </div>
    </>
  )
}
