export interface ErrorPlace {
  type: string
  stack?: string
}

/** Class names; any other name may quote text. */
const NAME = /^\w{1,64}$/

/**
 * Type and stack of an error without its message, which may quote a prompt. Plugins create errors, so any property can
 * have any value, and reading it can throw. (`Error.prepareStackTrace` can return anything.)
 */
export function withoutMessage(error: unknown): ErrorPlace {
  try {
    if (!(error instanceof Error)) return { type: typeof error }
    const { name, message, stack } = error
    const type = typeof name === 'string' && NAME.test(name) ? name : 'Error'
    if (typeof stack !== 'string') return { type }
    // Lines of a message can look like frames.
    const lines = stack.replace(message, () => '').split('\n')
    const frames = lines.filter((line) => /^\s+at /.test(line)).join('\n')
    return { type, ...(frames ? { stack: frames } : {}) }
  } catch {
    return { type: 'Error' }
  }
}
