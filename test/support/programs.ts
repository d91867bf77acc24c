import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, it } from 'vitest'

/** Programs that suites start, by the names under which systems know them. */
export const PROGRAMS = {
  nginx: { commands: ['nginx'], debianPackage: 'nginx-light' },
  haproxy: { commands: ['haproxy'], debianPackage: 'haproxy' },
  varnish: { commands: ['varnishd'], debianPackage: 'varnish' },
  caddy: { commands: ['caddy'], debianPackage: 'caddy' },
  apache: { commands: ['apache2'], debianPackage: 'apache2-bin' },
  chromium: { commands: ['chromium', 'chromium-browser', 'google-chrome'], debianPackage: 'chromium' },
  prometheus: { commands: ['prometheus'], debianPackage: 'prometheus' },
  script: { commands: ['script'], debianPackage: 'bsdutils' },
  promtool: { commands: ['promtool'], debianPackage: 'prometheus' },
  redis: { commands: ['redis-server'], debianPackage: 'redis-server' },
  redisSentinel: { commands: ['redis-sentinel'], debianPackage: 'redis-sentinel' },
} as const

export type ProgramName = keyof typeof PROGRAMS

export function findProgram(name: ProgramName): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']
  const candidates = PROGRAMS[name].commands.flatMap((command) => folders.map((folder) => join(folder, command)))
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** A suite that needs a program. Without it: left to do, which the global setup says aloud; failed under CI. */
export function describeWith(name: ProgramName, title: string, suite: (path: string) => void): void {
  const path = findProgram(name)
  if (path) describe(title, () => suite(path))
  else if (process.env.CI) it(`${title}: needs ${name}`, () => Promise.reject(new Error(`${name} is not installed`)))
  else it.todo(`${title}: needs ${name}`)
}
