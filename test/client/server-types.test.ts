import { describe, expect, expectTypeOf, it } from 'vitest'
import * as admin from '../../src/client/admin-types.ts'
import type { ListedUpload, Me } from '../../src/client/api.ts'
import { scopes } from '../../src/core/upload.ts'
import type { ActivityView } from '../../src/features/activity/plugin.ts'
import type { Summary } from '../../src/features/admin-uploads/summary.ts'
import type { LineView, OneView } from '../../src/features/admin-uploads/views.ts'
import type { EntryView } from '../../src/features/audit/plugin.ts'
import type { KeyFields, KeyView } from '../../src/features/keys/schemas.ts'
import type { ExplanationView } from '../../src/features/policies/explain.ts'
import type { Change, CheckView, VersionView } from '../../src/features/policies/views.ts'
import type { UsersView } from '../../src/features/quotas/plugin.ts'
import type { MeView } from '../../src/http/api/api-schemas.ts'
import type { UploadView } from '../../src/http/api/upload-view.ts'

// The pages may not import server code, so the client declares the types of responses again. `npm run typecheck` fails here when the
// declarations differ.
describe('the response types of the client', () => {
  it('equal those of the admin API', () => {
    expectTypeOf<LineView>().toEqualTypeOf<admin.AnyUpload>()
    expectTypeOf<OneView>().toEqualTypeOf<admin.OneUpload>()
    expectTypeOf<Summary>().toEqualTypeOf<admin.Summary>()
    expectTypeOf<ActivityView>().toEqualTypeOf<admin.Activity>()
    expectTypeOf<VersionView>().toEqualTypeOf<admin.PolicyVersion>()
    expectTypeOf<CheckView>().toEqualTypeOf<admin.CheckedPolicies>()
    expectTypeOf<UsersView>().toEqualTypeOf<{ users: admin.UserUsage[]; next: string | null }>()
    expectTypeOf<KeyView>().toEqualTypeOf<admin.ApiKey>()
    expectTypeOf<EntryView>().toEqualTypeOf<admin.AuditEntry>()
    // The page shows `from` as text and does not need all its values.
    expectTypeOf<ExplanationView>().toExtend<admin.Explanation>()
    expect(admin.scopes).toEqual(scopes)
  })

  it('are accepted as requests by the admin API', () => {
    expectTypeOf<admin.CreateKey>().toExtend<KeyFields>()
    expectTypeOf<admin.PolicyChange & { policies: admin.PolicyJson; removeRoles: true }>().toExtend<Change>()
  })

  it('are a subset of those of the upload API', () => {
    expectTypeOf<MeView>().toExtend<Me>()
    expectTypeOf<UploadView>().toExtend<ListedUpload>()
  })
})
