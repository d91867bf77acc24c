import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'

export const SOURCES = fileURLToPath(new URL('.', import.meta.url))
/** What is built, for the next time too. */
export const BUILT = fileURLToPath(new URL('../../node_modules/.cache/clients', import.meta.url))

export interface Language {
  /** Programs without which it cannot be built. */
  needs: readonly string[]
  /** Sources that decide whether what was built is still what they say. */
  sources: readonly string[]
  /** Build commands, one after another. */
  build: readonly (readonly [string, ...string[]])[]
  /** The command that runs a client. */
  run: readonly [string, ...string[]]
}

const python = join(BUILT, 'python/bin/python')
const go = join(BUILT, 'clients-go')
const java = join(BUILT, 'java')
const servers = join(BUILT, 'servers/bin/python')
const newestSdks = join(BUILT, 'newest-sdks')
const codingAgents = join(BUILT, 'coding-agents')

/** The Node that is installed with the newest SDKs; where there is none for the system, the one that runs the tests. */
const newerNode =
  process.platform === 'linux' ? join(newestSdks, `node_modules/node-linux-${process.arch}/bin/node`) : process.execPath

export const LANGUAGES = {
  python: {
    needs: ['python3'],
    sources: ['requirements.txt'],
    build: [
      ['python3', '-m', 'venv', '--clear', join(BUILT, 'python')],
      [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
    ],
    run: [python, '-B', join(SOURCES, 'python/main.py')],
  },
  go: {
    needs: ['go'],
    sources: ['go.mod', 'go.sum', 'report.go', 'r3labs.go', 'gosse.go', 'openai.go'],
    build: [['go', 'build', '-buildvcs=false', '-o', go, '.']],
    run: [go],
  },
  java: {
    needs: ['java', 'javac', 'mvn'],
    sources: ['pom.xml', 'src/main/java/Report.java', 'src/main/java/Main.java'],
    build: [['mvn', '--batch-mode', '--quiet', 'compile', 'dependency:copy-dependencies']],
    // It lives for seconds: the quick start of these counts, not their speed later.
    run: [
      'java',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-cp',
      [join(java, 'classes'), join(java, 'dependency/*')].join(delimiter),
      'Main',
    ],
  },
  'newest-sdks': {
    needs: ['npm'],
    sources: ['package.json', 'package-lock.json'],
    build: [
      ['mkdir', '-p', newestSdks],
      ['cp', 'package.json', 'package-lock.json', newestSdks],
      // Entered, for npm takes no `--prefix` that is behind a symbolic link.
      ['sh', '-c', 'cd "$0" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error', newestSdks],
    ],
    run: [newerNode],
  },
  'coding-agents': {
    needs: ['npm'],
    sources: ['package.json', 'package-lock.json'],
    build: [
      ['mkdir', '-p', codingAgents],
      ['cp', 'package.json', 'package-lock.json', codingAgents],
      ['sh', '-c', 'cd "$0" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error', codingAgents],
    ],
    run: [process.execPath, join(codingAgents, 'node_modules/@openai/codex/bin/codex.js')],
  },
  servers: {
    needs: ['python3'],
    sources: ['requirements.txt'],
    build: [
      ['python3', '-m', 'venv', '--clear', join(BUILT, 'servers')],
      [servers, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
    ],
    run: [servers, '-B', join(SOURCES, 'servers/llama_server.py')],
  },
} as const satisfies Record<string, Language>

export type LanguageName = keyof typeof LANGUAGES

export function missingPrograms(name: LanguageName): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return LANGUAGES[name].needs.filter((program) => !folders.some((folder) => isExecutable(join(folder, program))))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The file that says that it was built. */
export const markOf = (name: LanguageName): string => join(BUILT, `${name}.built`)

/** A suite that needs a language. Without it: left to do, which the global setup says aloud; failed under CI. */
export function describeIn(name: LanguageName, suite: () => void): void {
  const missing = missingPrograms(name).join(', ')
  const need = missing || (existsSync(markOf(name)) ? '' : 'what its build could not install')
  if (!need) describe(name, suite)
  else if (process.env.CI) it(`${name}: needs ${need}`, () => Promise.reject(new Error(`${need}: not installed`)))
  else it.todo(`${name}: needs ${need}`)
}
