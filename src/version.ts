import { createRequire } from 'node:module'
import { z } from 'zod'

/** The version of this package. By its own name, since sources and build stand at different depths. */
export const { version: VERSION } = z
  .object({ version: z.string() })
  .parse(createRequire(import.meta.url)('sluice/package.json'))
