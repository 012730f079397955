CREATE TABLE "audit_log" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_log_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"action" text NOT NULL,
	"is_allowed" boolean NOT NULL,
	"actor" text,
	"role" text,
	"tenant" text DEFAULT '' NOT NULL,
	"key_id" text,
	"upload_id" uuid,
	"target" text,
	"code" text,
	"rule" text,
	"address" text,
	"agent" text,
	"times" integer DEFAULT 1 NOT NULL,
	"note" text
);
--> statement-breakpoint
CREATE TABLE "contents" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"key" text NOT NULL,
	"size" bigint NOT NULL,
	"etag" text NOT NULL,
	"sha256" "bytea",
	"crc32" bigint,
	"content_type" text NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "contents_key_unique" UNIQUE("key"),
	CONSTRAINT "contents_state" CHECK (state in ('held', 'live', 'quarantined', 'gone'))
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"owner_id" text NOT NULL,
	"name" text NOT NULL,
	"content_id" uuid NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"link_epoch" integer DEFAULT 0 NOT NULL,
	"trashed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "steps" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "steps_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"content_id" uuid NOT NULL,
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"is_blocking" boolean NOT NULL,
	"state" text NOT NULL,
	"priority" integer NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"crashes" integer DEFAULT 0 NOT NULL,
	"next_at" timestamp with time zone NOT NULL,
	"lease_token" uuid,
	"lease_until" timestamp with time zone,
	"outcome" text,
	"result" jsonb,
	"reason" text,
	"created_at" timestamp with time zone NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "steps_state" CHECK (state in ('waiting', 'running', 'done', 'skipped', 'failed', 'dead')),
	CONSTRAINT "steps_outcome" CHECK (outcome in ('pass', 'hold', 'reject')),
	CONSTRAINT "steps_lease" CHECK ((state = 'running') = (lease_token is not null and lease_until is not null))
);
--> statement-breakpoint
CREATE TABLE "store_pairing" (
	"id" integer PRIMARY KEY NOT NULL,
	"store_id" uuid NOT NULL,
	"database_id" uuid NOT NULL,
	"epoch" integer NOT NULL,
	"counter" bigint NOT NULL,
	"marked_counter" bigint DEFAULT 0 NOT NULL,
	"advanced_at" timestamp with time zone DEFAULT now() NOT NULL,
	"is_marked" boolean NOT NULL,
	CONSTRAINT "store_pairing_one" CHECK (id = 1)
);
--> statement-breakpoint
CREATE TABLE "upload_events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "upload_events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"upload_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"type" text NOT NULL,
	"data" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "upload_parts" (
	"upload_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"size" bigint NOT NULL,
	"etag" text NOT NULL,
	"crc32" bigint,
	"lock_token" uuid,
	"locked_until" timestamp with time zone,
	CONSTRAINT "upload_parts_upload_id_number_pk" PRIMARY KEY("upload_id","number")
);
--> statement-breakpoint
CREATE TABLE "upload_sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"owner_id" text NOT NULL,
	"tenant" text DEFAULT '' NOT NULL,
	"role" text NOT NULL,
	"agent" text,
	"key" text NOT NULL,
	"filename" text NOT NULL,
	"content_type" text NOT NULL,
	"category" text NOT NULL,
	"metadata" text,
	"fingerprint" text,
	"size" bigint,
	"offset" bigint NOT NULL,
	"part_size" bigint NOT NULL,
	"state" text NOT NULL,
	"failure" text,
	"kind" text NOT NULL,
	"is_partial" boolean NOT NULL,
	"partials" jsonb,
	"upload_concat" text,
	"digests" jsonb,
	"max_size" bigint NOT NULL,
	"time_to_live_ms" bigint,
	"reserved" bigint,
	"multipart_id" text,
	"prefix" "bytea",
	"tail" jsonb NOT NULL,
	"etag" text,
	"crc32" bigint,
	"needs_cleanup" boolean NOT NULL,
	"is_answer_lost" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"completed_at" timestamp with time zone,
	"expires_at" timestamp with time zone,
	"loss_seen_at" timestamp with time zone,
	"delete_due_at" timestamp with time zone,
	"lease_token" uuid,
	"lease_until" timestamp with time zone,
	"lease_holder" text,
	"revision" integer DEFAULT 0 NOT NULL,
	"event_seq" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "upload_sessions_key_unique" UNIQUE("key"),
	CONSTRAINT "upload_sessions_state" CHECK (state in ('receiving', 'finishing', 'completed', 'cancelled', 'expired', 'failed')),
	CONSTRAINT "upload_sessions_kind" CHECK ((kind in ('sequential', 'parted') and partials is null and upload_concat is null)
        or (kind = 'final' and not is_partial and partials is not null and upload_concat is not null)),
	CONSTRAINT "upload_sessions_offset" CHECK ("offset" >= 0 and (size is null or "offset" <= size))
);
--> statement-breakpoint
CREATE TABLE "upload_usage" (
	"tenant" text NOT NULL,
	"owner_id" text NOT NULL,
	"reserved_bytes" bigint NOT NULL,
	"stored_bytes" bigint NOT NULL,
	"stored_files" integer NOT NULL,
	"open_uploads" integer NOT NULL,
	"open_files" integer NOT NULL,
	"day" date NOT NULL,
	"day_bytes" bigint NOT NULL,
	"day_files" integer NOT NULL,
	"creations_until" timestamp with time zone,
	"granted" bigint NOT NULL,
	CONSTRAINT "upload_usage_tenant_owner_id_pk" PRIMARY KEY("tenant","owner_id")
);
--> statement-breakpoint
CREATE TABLE "policy_versions" (
	"version" integer PRIMARY KEY NOT NULL,
	"document" json NOT NULL,
	"author" text NOT NULL,
	"note" text,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "activity" (
	"at" timestamp with time zone PRIMARY KEY NOT NULL,
	"received_bytes" bigint NOT NULL,
	"stored_bytes" bigint NOT NULL,
	"requests" integer NOT NULL,
	"client_errors" integer NOT NULL,
	"server_errors" integer NOT NULL,
	"store_errors" integer NOT NULL,
	"created" integer NOT NULL,
	"completed" integer NOT NULL,
	"cancelled" integer NOT NULL,
	"expired" integer NOT NULL,
	"failed" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"prefix" text NOT NULL,
	"hash" text NOT NULL,
	"role" text NOT NULL,
	"user_id" text,
	"tenant" text NOT NULL,
	"scopes" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"created_by" text NOT NULL,
	"created_by_key" uuid,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"revoked_by" text,
	"last_used_at" timestamp with time zone,
	CONSTRAINT "api_keys_hash_unique" UNIQUE("hash")
);
--> statement-breakpoint
CREATE TABLE "server_secrets" (
	"name" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_checkpoint" (
	"only" integer PRIMARY KEY NOT NULL,
	"seq" bigint NOT NULL,
	"hash" text NOT NULL,
	"mac" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_seals" (
	"seq" bigint PRIMARY KEY NOT NULL,
	"audit_id" bigint NOT NULL,
	"hash" text NOT NULL,
	"mac" text,
	CONSTRAINT "audit_seals_audit_id_unique" UNIQUE("audit_id")
);
--> statement-breakpoint
CREATE TABLE "webhook_deliveries" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "webhook_deliveries_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"endpoint_id" uuid NOT NULL,
	"event_id" bigint NOT NULL,
	"upload_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_at" timestamp with time zone NOT NULL,
	"lease_token" uuid,
	"last_status" integer,
	"last_ms" integer,
	"last_error" text,
	"delivered_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhook_endpoints" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"owner_id" text NOT NULL,
	"slot" integer NOT NULL,
	"reach" text NOT NULL,
	"url" text NOT NULL,
	"events" jsonb NOT NULL,
	"secret" text NOT NULL,
	"old_secret" text,
	"old_until" timestamp with time zone,
	"state" text DEFAULT 'on' NOT NULL,
	"paused_because" text,
	"failing_since" timestamp with time zone,
	"not_before" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "nodes" ADD CONSTRAINT "nodes_content_id_contents_id_fk" FOREIGN KEY ("content_id") REFERENCES "public"."contents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "steps" ADD CONSTRAINT "steps_content_id_contents_id_fk" FOREIGN KEY ("content_id") REFERENCES "public"."contents"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "upload_parts" ADD CONSTRAINT "upload_parts_upload_id_upload_sessions_id_fk" FOREIGN KEY ("upload_id") REFERENCES "public"."upload_sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_endpoint_id_webhook_endpoints_id_fk" FOREIGN KEY ("endpoint_id") REFERENCES "public"."webhook_endpoints"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_event_id_upload_events_id_fk" FOREIGN KEY ("event_id") REFERENCES "public"."upload_events"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_log_upload" ON "audit_log" USING btree ("upload_id") WHERE upload_id is not null;--> statement-breakpoint
CREATE INDEX "audit_log_newest" ON "audit_log" USING btree ("at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "audit_log_actor" ON "audit_log" USING btree ("actor","at" DESC NULLS FIRST,"id" DESC NULLS FIRST) WHERE actor is not null;--> statement-breakpoint
CREATE INDEX "contents_held" ON "contents" USING btree ("id") WHERE state in ('held', 'quarantined');--> statement-breakpoint
CREATE UNIQUE INDEX "steps_content" ON "steps" USING btree ("content_id","name","version");--> statement-breakpoint
CREATE INDEX "steps_waiting" ON "steps" USING btree ("priority" DESC NULLS FIRST,"next_at","id") WHERE state = 'waiting';--> statement-breakpoint
CREATE INDEX "steps_oldest" ON "steps" USING btree ("id") WHERE state = 'waiting';--> statement-breakpoint
CREATE INDEX "steps_running" ON "steps" USING btree ("lease_until") WHERE state = 'running';--> statement-breakpoint
CREATE INDEX "steps_stopped" ON "steps" USING btree ("id") WHERE state in ('failed', 'dead') or outcome in ('hold', 'reject');--> statement-breakpoint
CREATE INDEX "upload_events_upload" ON "upload_events" USING btree ("upload_id","seq");--> statement-breakpoint
CREATE INDEX "upload_events_owner" ON "upload_events" USING btree ((data->>'ownerId'),"id");--> statement-breakpoint
CREATE INDEX "upload_events_pending" ON "upload_events" USING btree ("id") WHERE delivered_at is null;--> statement-breakpoint
CREATE INDEX "upload_events_time" ON "upload_events" USING brin ("created_at");--> statement-breakpoint
CREATE INDEX "upload_sessions_owner" ON "upload_sessions" USING btree ("tenant","owner_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "upload_sessions_newest" ON "upload_sessions" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "upload_sessions_newest_others" ON "upload_sessions" USING btree ("created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST) WHERE state <> 'completed';--> statement-breakpoint
CREATE INDEX "upload_sessions_owner_others" ON "upload_sessions" USING btree ("tenant","owner_id","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST) WHERE state <> 'completed';--> statement-breakpoint
CREATE UNIQUE INDEX "upload_sessions_final" ON "upload_sessions" USING btree ("tenant","owner_id",md5(partials::text)) WHERE kind = 'final' and state in ('receiving', 'finishing', 'completed');--> statement-breakpoint
CREATE INDEX "upload_sessions_file" ON "upload_sessions" USING btree ("tenant","owner_id","fingerprint","created_at" DESC NULLS FIRST,"id" DESC NULLS FIRST) WHERE fingerprint is not null;--> statement-breakpoint
CREATE INDEX "upload_sessions_expiring" ON "upload_sessions" USING btree ("expires_at") WHERE state in ('receiving', 'completed') and expires_at is not null;--> statement-breakpoint
CREATE INDEX "upload_sessions_open" ON "upload_sessions" USING btree ("state","role") WHERE state in ('receiving', 'finishing');--> statement-breakpoint
CREATE INDEX "upload_sessions_answer_lost" ON "upload_sessions" USING btree ("tenant","owner_id") WHERE is_answer_lost;--> statement-breakpoint
CREATE INDEX "upload_sessions_deletions" ON "upload_sessions" USING btree ("delete_due_at") WHERE delete_due_at is not null;--> statement-breakpoint
CREATE INDEX "upload_sessions_cleanup" ON "upload_sessions" USING btree ("id") WHERE needs_cleanup and state not in ('receiving', 'finishing');--> statement-breakpoint
CREATE INDEX "api_keys_newest" ON "api_keys" USING btree ("created_at" DESC NULLS FIRST);--> statement-breakpoint
CREATE INDEX "api_keys_made_with" ON "api_keys" USING btree ("created_by_key") WHERE created_by_key is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_deliveries_event" ON "webhook_deliveries" USING btree ("endpoint_id","event_id");--> statement-breakpoint
CREATE INDEX "webhook_deliveries_due" ON "webhook_deliveries" USING btree ("endpoint_id","next_at") WHERE state in ('waiting', 'sending');--> statement-breakpoint
CREATE INDEX "webhook_deliveries_sending" ON "webhook_deliveries" USING btree ("endpoint_id") WHERE state = 'sending';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_upload" ON "webhook_deliveries" USING btree ("endpoint_id","upload_id","seq") WHERE state <> 'delivered';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_delivered" ON "webhook_deliveries" USING btree ("delivered_at") WHERE state = 'delivered';--> statement-breakpoint
CREATE INDEX "webhook_deliveries_of_event" ON "webhook_deliveries" USING btree ("event_id");--> statement-breakpoint
CREATE UNIQUE INDEX "webhook_endpoints_owner" ON "webhook_endpoints" USING btree ("tenant","owner_id","slot");--> statement-breakpoint
CREATE INDEX "webhook_endpoints_all" ON "webhook_endpoints" USING btree ("tenant") WHERE reach = 'all';