ALTER TABLE "api_keys" ADD COLUMN "created_by_key" uuid;--> statement-breakpoint
CREATE INDEX "api_keys_made_with" ON "api_keys" USING btree ("created_by_key") WHERE created_by_key is not null;