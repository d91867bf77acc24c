/** The most that OpenAI takes for `n`. */
export const MAX_CHOICES = 128

/** Of one stream, all choices together; honest answers have a few dozen. */
export const MAX_TOOL_CALLS = 1024
