// Faults in the configuration of access that concern several settings.

import type { z } from 'zod'
import type { KeyConfig } from './access-schema.ts'
import { hashKey } from './api-keys.ts'
import { RESERVED_NAMES, type Limits } from './caller.ts'
import { listensOnLoopback } from './loopback.ts'

/** The settings that must agree. */
interface AccessSettings extends Exposure, CostLimits {
  readonly keys: readonly KeyConfig[]
  readonly jwt?: (Pick<KeyConfig, 'limits' | 'userLimits'> & { readonly name: string }) | undefined
  readonly metricsToken: string
}

export function checkAccess(settings: AccessSettings, context: z.RefinementCtx): void {
  checkExposure(settings, context)
  checkNames(settings, context)
  checkKeys(settings, context)
  checkCostLimits(settings, context)
}

function checkNames({ keys, jwt }: Pick<AccessSettings, 'keys' | 'jwt'>, context: z.RefinementCtx): void {
  const taken = new Set([...RESERVED_NAMES, ...(jwt ? [jwt.name] : [])])
  for (const [index, { name }] of keys.entries()) {
    if (taken.has(name))
      context.addIssue({
        code: 'custom',
        path: ['keys', index, 'name'],
        message: `${name} is the name of another caller`,
      })
    taken.add(name)
  }
}

const HOSTS = ['host', 'adminHost'] as const

interface Exposure {
  readonly host: string
  readonly adminHost: string
  readonly adminPort?: number | undefined
  readonly keys: readonly unknown[]
  readonly jwt?: unknown
  readonly allowAnonymous: boolean
}

/** Nobody should spend the operator's money because a setting was forgotten. */
function checkExposure({ keys, jwt, allowAnonymous, adminPort, ...hosts }: Exposure, context: z.RefinementCtx): void {
  const isOpen = keys.length === 0 && jwt === undefined
  // The admin port serves everything that the other does.
  for (const setting of adminPort === undefined ? HOSTS.slice(0, 1) : HOSTS) {
    const { [setting]: host } = hosts
    if (isOpen && !allowAnonymous && !listensOnLoopback(host))
      context.addIssue({
        code: 'custom',
        path: [setting],
        message: `${host} can be reached from other machines, and anybody there could spend your provider's keys: set SLUICE_KEYS=name:key, or ALLOW_ANONYMOUS=true to let everybody in`,
      })
  }
  if (!isOpen && allowAnonymous)
    context.addIssue({
      code: 'custom',
      path: ['allowAnonymous'],
      message: 'has no effect with keys: everybody needs one',
    })
}

/** With one key for two callers, only one of them would have its scopes and limits. */
function checkKeys(
  { keys, metricsToken }: { keys: readonly Pick<KeyConfig, 'hash' | 'key'>[]; metricsToken: string },
  context: z.RefinementCtx,
): void {
  const known = new Set(metricsToken === '' ? [] : [hashKey(metricsToken)])
  for (const [index, { key = '', hash = hashKey(key) }] of keys.entries()) {
    if (known.has(hash))
      context.addIssue({ code: 'custom', path: ['keys', index], message: 'has the key of another caller' })
    known.add(hash)
  }
}

interface CostLimits {
  readonly keys: readonly Pick<KeyConfig, 'limits' | 'userLimits'>[]
  readonly jwt?: Pick<KeyConfig, 'limits' | 'userLimits'> | undefined
  readonly limits: Limits
  readonly prices: Readonly<Record<string, unknown>>
}

/** Where nothing has a price, a limit of the cost is none. */
function checkCostLimits({ keys, jwt, limits, prices }: CostLimits, context: z.RefinementCtx): void {
  if (Object.keys(prices).length > 0) return
  const places: [path: PropertyKey[], limits: Limits][] = [[['limits'], limits]]
  const grants: [path: PropertyKey[], grant: CostLimits['keys'][number]][] = keys.map((each, i) => [['keys', i], each])
  if (jwt) grants.push([['jwt'], jwt])
  for (const [path, each] of grants)
    places.push([[...path, 'limits'], each.limits], [[...path, 'userLimits'], each.userLimits])
  for (const [path, { costPerDay, costPerMonth }] of places)
    if (costPerDay !== undefined || costPerMonth !== undefined)
      context.addIssue({ code: 'custom', path, message: 'a limit of the cost needs "prices"' })
}
