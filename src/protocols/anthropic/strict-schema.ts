import { isRecord, type Fields } from '../../json.ts'

/** Keywords that OpenAI's strict schemas lack. */
const LOOSE = ['allOf', 'oneOf', 'not', 'if', 'patternProperties', 'dependentRequired', 'dependentSchemas'] as const

/** Keywords with one schema, a list of schemas, or schemas by name. */
const NESTED = ['items', 'prefixItems', 'anyOf', 'properties', '$defs', 'definitions'] as const
const BY_NAME: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions'])

/**
 * Whether OpenAI takes a schema as strict: it refuses one whose objects have optional fields or allow others. Anthropic
 * takes both.
 * https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
export function canBeStrict(schema: Fields): boolean {
  return schema.type === 'object' && !Array.isArray(schema.anyOf) && isStrict(schema)
}

function isStrict(schema: unknown): boolean {
  if (!isRecord(schema) || LOOSE.some((name) => schema[name] !== undefined)) return false
  if (isOfObjects(schema) && !isClosed(schema)) return false
  return NESTED.every((name) => schema[name] === undefined || schemasIn(name, schema[name]).every(isStrict))
}

function isOfObjects({ type, properties }: Fields): boolean {
  return type === 'object' || (Array.isArray(type) && type.includes('object')) || properties !== undefined
}

function isClosed({ additionalProperties, properties = {}, required = [] }: Fields): boolean {
  if (additionalProperties !== false || !isRecord(properties) || !Array.isArray(required)) return false
  const names = new Set<unknown>(required)
  return Object.keys(properties).every((name) => names.has(name))
}

function schemasIn(name: string, value: unknown): unknown[] {
  if (BY_NAME.has(name)) return isRecord(value) ? Object.values(value) : [value]
  return Array.isArray(value) ? value : [value]
}
