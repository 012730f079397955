import { Field } from '../field.tsx'

export interface ChangeNoteText {
  note: string
  applyToActive: boolean
}

/** The fields of a change: its note, and whether it applies to running uploads. */
export function ChangeNoteFields({ change, set }: { change: ChangeNoteText; set: (change: ChangeNoteText) => void }) {
  return (
    <div class="change-note">
      <Field
        label="Note (shown in the versions)"
        value={change.note}
        set={(note) => set({ ...change, note: note.slice(0, 500) })}
      />
      <label class="check">
        <input
          type="checkbox"
          checked={change.applyToActive}
          onChange={(event) => set({ ...change, applyToActive: event.currentTarget.checked })}
        />
        Apply to running uploads too; otherwise they keep the limits they started with
      </label>
    </div>
  )
}
