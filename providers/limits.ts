/** OpenAI's maximum for `n`. */
export const MAX_CHOICES = 128

/** Total for all choices of a stream; real answers have at most a few dozen. */
export const MAX_TOOL_CALLS = 1024
