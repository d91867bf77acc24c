import { createRequire } from 'node:module'
import { z } from 'zod'

/** The version of this package. Imported by package name, since sources and build are at different depths. */
export const { version: VERSION } = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)('sluice/package.json'))
