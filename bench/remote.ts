import type { ChildProcess } from 'node:child_process'

/** What a child process can be asked for, by name; arguments and answers are JSON. */
export type Commands = Record<string, (argument: never) => unknown>

export type Call<C extends Commands> = <K extends keyof C & string>(
  name: K,
  ...argument: Parameters<C[K]>
) => Promise<Awaited<ReturnType<C[K]>>>

interface Question {
  id: number
  name: string
  argument: unknown
}

type Answer = { id: number; value: unknown } | { id: number; error: string }

/** In the child: answers until the parent goes away. */
export function answer(commands: Commands): void {
  process.on('message', ({ id, name, argument }: Question) => {
    const command = commands[name] as (argument: unknown) => unknown
    Promise.resolve()
      .then(() => command(argument))
      .then((value): Answer => ({ id, value }))
      .catch((error: unknown): Answer => ({ id, error: error instanceof Error ? error.message : String(error) }))
      .then((reply) => process.send?.(reply))
      .catch(() => {})
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.({ id: 0, value: 'ready' })
}

/** In the parent: resolves once the child answers questions. */
export async function connect<C extends Commands>(child: ChildProcess): Promise<Call<C>> {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let last = 0
  const wait = (id: number) => new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }))
  child.on('message', (message: Answer) => {
    const { resolve, reject } = waiting.get(message.id) ?? {}
    waiting.delete(message.id)
    if ('error' in message) reject?.(new Error(message.error))
    else resolve?.(message.value)
  })
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`The process ended with ${code}.`))
    waiting.clear()
  })
  await wait(0)
  return (name, argument?: unknown) => {
    last += 1
    child.send({ id: last, name, argument } satisfies Question)
    return wait(last) as never
  }
}
