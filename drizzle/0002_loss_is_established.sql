CREATE TABLE "store_pairing" (
	"id" integer PRIMARY KEY NOT NULL,
	"store_id" uuid NOT NULL,
	"database_id" uuid NOT NULL,
	"epoch" integer NOT NULL,
	"counter" bigint NOT NULL,
	"advanced_at" timestamp with time zone DEFAULT now() NOT NULL,
	"is_marked" boolean NOT NULL,
	CONSTRAINT "store_pairing_one" CHECK (id = 1)
);
--> statement-breakpoint
ALTER TABLE "upload_sessions" ADD COLUMN "loss_seen_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "upload_sessions" ADD COLUMN "delete_due_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "upload_sessions_deletions" ON "upload_sessions" USING btree ("delete_due_at") WHERE delete_due_at is not null;