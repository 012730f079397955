import type { ComponentChildren } from 'preact'
import type { UploadDetails } from '../../../contract/admin-uploads.ts'
import { formatBytes, formatDate, formatDuration, formatExactly } from '../../ui/format.ts'
import { count, nameOf } from '../messages.ts'
import { hrefOf } from '../route.ts'
import { readMetadata } from './metadata.ts'

/** All details of an upload; missing ones are left out. */
export function Facts({ upload }: { upload: UploadDetails }) {
  const { user, tenant, role, kind, partial, timeToLiveMs, reserved, parts, tailObjects, metadata } = upload
  const isOpen = upload.state === 'receiving' || upload.state === 'finishing'
  return (
    <section class="box" aria-labelledby="facts-title">
      <h3 id="facts-title">Facts</h3>
      <dl class="facts-list">
        <Fact name="Owner">
          <a href={hrefOf('uploads', null, { user, ...(tenant !== null && { tenant }) })}>{nameOf(upload)}</a>, {role}
        </Fact>
        <Fact name="Type">
          {upload.contentType}, {upload.category}
        </Fact>
        {(partial || kind === 'final') && <Fact name="Concatenation">{partial ? 'partial' : 'final'} upload</Fact>}
        <Fact name="Created">{moment(upload.createdAt)}</Fact>
        <Fact name="Last change">{moment(upload.updatedAt)}</Fact>
        {upload.completedAt && <Fact name="Completed">{moment(upload.completedAt)}</Fact>}
        {isOpen && upload.expiresAt && <Fact name="Kept until">{moment(upload.expiresAt)}</Fact>}
        {isOpen && (
          <Fact name="Limits">
            {formatBytes(upload.maxSize)}
            {timeToLiveMs !== null && `, kept ${formatDuration(timeToLiveMs)} after its last byte`}
          </Fact>
        )}
        {reserved !== null && reserved > 0 && <Fact name="Reserved">{formatBytes(reserved)}</Fact>}
        {isOpen && (
          <Fact name="Parts">
            {count(parts, 'part')} of {formatBytes(upload.partSize)}
            {tailObjects > 0 && `, ${count(tailObjects, 'tail object')}`}
          </Fact>
        )}
        {upload.needsCleanup && <Fact name="Cleanup">pending: the sweeper will remove leftovers from the store</Fact>}
        <Fact name="Object">
          {upload.objectUrl ? (
            <a href={upload.objectUrl} rel="noreferrer">
              {upload.key}
            </a>
          ) : (
            <code>{upload.key}</code>
          )}
        </Fact>
        {upload.etag && (
          <Fact name="ETag">
            <code>{upload.etag}</code>
          </Fact>
        )}
        {upload.fingerprint && (
          <Fact name="Fingerprint">
            <code>{upload.fingerprint}</code>
          </Fact>
        )}
        {metadata && (
          <Fact name="Metadata">
            <code>{readMetadata(metadata)}</code>
          </Fact>
        )}
        <Fact name="Id">
          <code>{upload.id}</code>
        </Fact>
      </dl>
    </section>
  )
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd class="any-text">{children}</dd>
    </>
  )
}

function moment(iso: string) {
  return (
    <time dateTime={iso} title={formatExactly(iso)}>
      {formatDate(iso)}
    </time>
  )
}
