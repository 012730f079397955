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
