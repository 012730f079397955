import { Field } from '../field.tsx'

export interface ChangeNoteText {
  note: string
  applyToActive: boolean
}

/** What goes with a change: why, and whether it is for running uploads too. */
export function ChangeNoteFields({ remark, set }: { remark: ChangeNoteText; set: (remark: ChangeNoteText) => void }) {
  return (
    <div class="remark">
      <Field
        label="Note (shown in the versions)"
        value={remark.note}
        set={(note) => set({ ...remark, note: note.slice(0, 500) })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={remark.applyToActive}
          onChange={(event) => set({ ...remark, applyToActive: event.currentTarget.checked })}
        />
        Apply to running uploads too; otherwise they keep the limits they started with
      </label>
    </div>
  )
}
