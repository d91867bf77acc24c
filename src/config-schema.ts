// The JSON schema of `sluice.yaml`, for editors.

import { z } from 'zod'
import { configSchema } from './settings.ts'

/** Any setting may be filled in from the environment. */
const REFERENCE = { type: 'string', pattern: '\\$\\{\\w+(:-[^}]*)?\\}' } as const

/** What stays with the setting, whichever form its value has. */
const ABOUT: ReadonlySet<string> = new Set(['description', 'default'])

/** As JSON, with a line for each value. */
export function printSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any', override: adapt })
  return `${JSON.stringify({ title: 'sluice.yaml', ...schema }, undefined, 2)}\n`
}

type Adapted = Parameters<NonNullable<NonNullable<Parameters<typeof z.toJSONSchema>[1]>['override']>>[0]

function adapt({ jsonSchema: schema }: Adapted): void {
  const { type, enum: values, properties, required } = schema
  if (values !== undefined || type === 'number' || type === 'integer' || type === 'boolean') {
    const own = Object.fromEntries(Object.entries(schema).filter(([name]) => !ABOUT.has(name)))
    for (const name of Object.keys(own)) Reflect.deleteProperty(schema, name)
    schema.anyOf = [own, REFERENCE]
  }
  // `module` implies the type.
  if (properties?.module !== undefined && required) schema.required = required.filter((name) => name !== 'type')
}
