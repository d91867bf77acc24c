import { z } from 'zod'
import { MAX_FAULTS } from './faults.ts'
import { isRecord } from './json.ts'

/**
 * `z.array` and `z.record` report every invalid element: a megabyte of invalid elements takes seconds and yields an 80
 * MB report. These stop once there are more faults than are reported. Like zod's own schemas, they pass on issues
 * unfinished.
 */
export function boundedArray<T extends z.ZodType>(element: T, message?: string): z.ZodType<z.output<T>[]>
export function boundedArray(element: z.ZodType, message?: string): z.ZodType<unknown[]> {
  return z.unknown().transform((input, context) => {
    if (!Array.isArray(input)) return refuse('array', message, context)
    const elements: unknown[] = input
    const output: unknown[] = []
    for (let i = 0; i < elements.length && context.issues.length <= MAX_FAULTS; i++)
      output.push(run(element, elements[i], i, context))
    return output
  })
}

/** An object with any names, whose values all have this schema. */
export function boundedRecord<T extends z.ZodType>(value: T): z.ZodType<Record<string, z.output<T>>>
export function boundedRecord(value: z.ZodType): z.ZodType<Record<string, unknown>> {
  return z.unknown().transform((input, context) => {
    if (!isRecord(input)) return refuse('record', undefined, context)
    const output: Record<string, unknown> = {}
    for (const name of Object.keys(input)) {
      if (context.issues.length > MAX_FAULTS) break
      // Zod drops this name too: assigning it would set the prototype.
      if (name !== '__proto__') output[name] = run(value, input[name], name, context)
    }
    return output
  })
}

const SYNC = { async: false }

/** Not `safeParse`: finished issues no longer show whether the enclosing value can still be checked. */
function run({ _zod: schema }: z.ZodType, value: unknown, key: PropertyKey, context: z.RefinementCtx): unknown {
  const result = schema.run({ value, issues: [] }, SYNC)
  if (result instanceof Promise) throw new TypeError('the schema of a request must not be asynchronous')
  if (result.issues.length > 0) context.issues.push(...z.core.util.prefixIssues(key, result.issues))
  return result.value
}

function refuse(expected: 'array' | 'record', message: string | undefined, context: z.RefinementCtx): never {
  context.addIssue({ code: 'invalid_type', expected, input: context.value, ...(message !== undefined && { message }) })
  return z.NEVER
}
