import type { ComponentChildren } from 'preact'
import type { AnyUpload } from '../../../client/admin-types.ts'
import { FileName } from '../../upload/file-name.tsx'
import { TypeIcon } from '../../upload/icons.tsx'
import { hrefOf } from '../route.ts'

/** How the row of an upload begins: its kind, its name as the way to it, and some facts. */
export function RowHead({ upload, children }: { upload: AnyUpload; children: ComponentChildren }) {
  return (
    <>
      <span class="preview">
        <TypeIcon type={upload.contentType} />
      </span>
      <div class="row-words">
        <a class="row-link" href={hrefOf('uploads', upload.id)}>
          <FileName name={upload.filename} />
        </a>
        <p class="facts quiet">{children}</p>
      </div>
    </>
  )
}
