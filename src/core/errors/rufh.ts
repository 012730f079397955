/** What only RUFH answers. */
export const rufhErrors = {}
