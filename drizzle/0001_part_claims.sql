ALTER TABLE "upload_parts" ADD COLUMN "claim" uuid;--> statement-breakpoint
ALTER TABLE "upload_parts" ADD COLUMN "claim_until" timestamp with time zone;