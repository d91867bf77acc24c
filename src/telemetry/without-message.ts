export interface ErrorPlace {
  type: string
  stack?: string
}

/** Where an error was thrown, but not its words, which may quote what it was working on: a prompt, most likely. */
export function withoutMessage(error: unknown): ErrorPlace {
  if (!(error instanceof Error)) return { type: typeof error }
  // Whoever prepares stack traces can make anything of them.
  const text = typeof error.stack === 'string' ? error.stack : ''
  // A message of several lines can look like frames.
  const lines = text.replace(error.message, () => '').split('\n')
  const stack = lines.filter((line) => /^\s+at /.test(line)).join('\n')
  return { type: error.name, ...(stack ? { stack } : {}) }
}
