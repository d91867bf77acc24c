export interface ErrorPlace {
  type: string
  stack?: string
}

/** Names of classes; anything else may be words. */
const NAME = /^\w{1,64}$/

/**
 * Where an error was thrown, but not its words, which may quote what it was working on: a prompt, most likely. Errors
 * are made by plugins: any property may be anything, and may throw when it is read.
 */
export function withoutMessage(error: unknown): ErrorPlace {
  if (!(error instanceof Error)) return { type: typeof error }
  try {
    const { name, message, stack } = error
    const type = typeof name === 'string' && NAME.test(name) ? name : 'Error'
    if (typeof stack !== 'string') return { type }
    // A message of several lines can look like frames.
    const lines = stack.replace(message, () => '').split('\n')
    const frames = lines.filter((line) => /^\s+at /.test(line)).join('\n')
    return { type, ...(frames ? { stack: frames } : {}) }
  } catch {
    return { type: 'Error' }
  }
}
