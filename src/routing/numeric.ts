import { z } from 'zod'

/** A number, or a text that is one: the environment and `${NAME}` in a file know nothing else. */
export function numeric<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value), schema)
}
