import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BUILT, LANGUAGES, markOf, missingPrograms, SOURCES, type Language, type LanguageName } from './languages.ts'

/** Builds the clients of each language that is installed, unless they have been built before. */
export default function setup(): void {
  mkdirSync(BUILT, { recursive: true })
  for (const name of Object.keys(LANGUAGES) as LanguageName[]) {
    const missing = missingPrograms(name)
    if (missing.length > 0) complain(name, `${missing.join(', ')} not installed`)
    else
      try {
        build(name, LANGUAGES[name])
      } catch (error) {
        complain(name, String(error))
      }
  }
}

function complain(name: LanguageName, why: string): void {
  const outcome = process.env.CI ? 'FAIL' : 'DO NOT RUN'
  process.stderr.write(`\n!! ${why}: the clients of ${name} ${outcome}.\n\n`)
}

function build(name: LanguageName, language: Language): void {
  const cwd = join(SOURCES, name)
  const hash = createHash('sha256')
  for (const part of [JSON.stringify(language), ...language.sources.map((each) => readFileSync(join(cwd, each)))])
    hash.update(part)
  const digest = hash.digest('hex')
  const mark = markOf(name)
  if (existsSync(mark) && readFileSync(mark, 'utf8') === digest) return
  rmSync(mark, { force: true })
  for (const [command, ...args] of language.build)
    execFileSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'], timeout: 300_000 })
  writeFileSync(mark, digest)
}
