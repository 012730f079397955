import { Field } from '../field.tsx'

export interface RemarkText {
  note: string
  applyToRunning: boolean
}

/** What goes with a change: why, and whether it is for running uploads too. */
export function Remark({ remark, set }: { remark: RemarkText; set: (remark: RemarkText) => void }) {
  return (
    <div class="remark">
      <Field
        label="Why (for those who read the history)"
        value={remark.note}
        set={(note) => set({ ...remark, note: note.slice(0, 500) })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={remark.applyToRunning}
          onChange={(event) => set({ ...remark, applyToRunning: event.currentTarget.checked })}
        />
        Also for uploads that are under way; otherwise they keep what they were told
      </label>
    </div>
  )
}
