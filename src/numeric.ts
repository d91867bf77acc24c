import { z } from 'zod'

/** A number or a numeric string: the environment and `${NAME}` in a file contain only strings. */
export function numeric<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (typeof value === 'string' && value.trim() !== '' ? Number(value) : value), schema)
}

/** The longest delay of a Node timer. */
const MAX_MS = 2 ** 31 - 1

export const milliseconds = numeric(z.number().int().nonnegative().max(MAX_MS))
export const positiveMilliseconds = numeric(z.number().int().min(1).max(MAX_MS))
