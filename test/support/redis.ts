import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { findProgram } from './programs.ts'
import { quietPort } from './quiet-port.ts'
import { RedisClient, type Reply } from './redis-client.ts'
import { TLS } from './tls.ts'

export interface RedisOptions {
  /** By default, one that is free. */
  port?: number
  /** Of the default user. */
  password?: string
  /** The user in `url`, who may do anything unless the rules say less. `command` is still the default user's. */
  user?: { name: string; password: string; rules?: string }
  /** Accepts TLS and nothing else, with the certificate for localhost of `tls.ts`. */
  tls?: boolean
  /** More lines of its configuration. */
  settings?: readonly string[]
}

/** A redis-server that keeps nothing on disk, or a redis-sentinel: the same program and configuration. */
export class RedisServer {
  readonly #program: string
  readonly #options: RedisOptions
  #port = 0
  #folder: string | undefined
  #child: ChildProcess | undefined
  #client: RedisClient | undefined
  #closed = Promise.resolve()
  #stopped = false

  constructor(program: string, options: RedisOptions = {}) {
    this.#program = program
    this.#options = options
  }

  get port(): number {
    return this.#port
  }

  /** With the user and the password, if it asks for them. */
  get url(): string {
    return this.#urlFor(this.#options.user ?? { name: '', password: this.#options.password ?? '' })
  }

  /** Changes with a restart. @throws Error while it does not run */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('This Redis does not run')
    return pid
  }

  /** Resolves when it answers. @throws Error with its log when it does not start */
  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
    for (;;) {
      this.#port = this.#options.port ?? quietPort()
      try {
        await this.restart()
        return
      } catch (error) {
        if (this.#options.port !== undefined || !String(error).includes('Address already in use')) throw error
      }
    }
  }

  /** @throws Error with the answer when that is an error, and when the connection closes before it came */
  command(...words: (string | number)[]): Promise<Reply> {
    this.#client ??= new RedisClient(this.#urlFor({ name: '', password: this.#options.password ?? '' }))
    return this.#client.command(...words)
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#closed
  }

  /** On the same port, with an empty memory; killed first if it runs. Resolves when it answers. */
  async restart(): Promise<void> {
    await this.kill()
    this.#client?.close()
    this.#client = undefined
    await this.#launch()
    await this.command('PING')
  }

  /** Connections stay open and new ones are accepted, by the system; nothing is answered. */
  pause(): void {
    process.kill(this.pid, 'SIGSTOP')
  }

  resume(): void {
    process.kill(this.pid, 'SIGCONT')
  }

  /** Every command that may need memory fails with `OOM`, as when it is full. */
  async refuseWrites(): Promise<void> {
    await this.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction', 'maxmemory', 1)
  }

  async acceptWrites(): Promise<void> {
    await this.command('CONFIG', 'SET', 'maxmemory', 0)
  }

  async flush(): Promise<void> {
    await this.command('FLUSHALL')
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.kill()
    this.#client?.close()
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true })
  }

  /**
   * Workers are ended with SIGTERM or SIGKILL, of which they cannot tell; but the system closes their ends of pipes. From
   * now on the server must not be restarted.
   */
  endWithThisProcess(): void {
    const script = 'read -r _; kill -9 "$0"; rm -r "$1"'
    const args = ['-c', script, String(this.pid), String(this.#folder)]
    // In a group of its own, where Ctrl-C does not reach it.
    const watcher = spawn('sh', args, { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
    watcher.unref()
    this.#child?.unref()
  }

  /** Resolves when it has said that it is ready. Only that is sure to come from it, and not from who has its port. */
  async #launch(): Promise<void> {
    if (this.#stopped || this.#folder === undefined) throw new Error('This Redis was stopped')
    const file = join(this.#folder, 'redis.conf')
    await writeFile(file, this.#configuration(this.#folder).join('\n'))
    const child = spawn(this.#program, [file], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#closed = new Promise((resolve) =>
      child.on('close', () => {
        this.#child = undefined
        resolve()
      }),
    )
    let log = ''
    await new Promise<void>((resolve, reject) => {
      for (const output of [child.stdout, child.stderr])
        output.setEncoding('utf8').on('data', (text: string) => {
          log += text
          if (/Ready to accept connections|\+monitor master/.test(log)) resolve()
        })
      child.on('error', reject)
      child.on('close', () => reject(new Error(`${this.#program} did not start: ${log}`)))
    })
  }

  #configuration(folder: string): string[] {
    const { password, user, tls, settings = [] } = this.#options
    return [
      'bind 127.0.0.1',
      `dir ${folder}`,
      'save ""',
      'appendonly no',
      ...(tls
        ? [
            'port 0',
            `tls-port ${this.#port}`,
            `tls-cert-file ${TLS.tlsCert}`,
            `tls-key-file ${TLS.tlsKey}`,
            'tls-auth-clients no',
          ]
        : [`port ${this.#port}`]),
      ...(password ? [`requirepass ${password}`] : []),
      ...(user ? [`user ${user.name} on >${user.password} ${user.rules ?? '~* &* +@all'}`] : []),
      ...settings,
    ]
  }

  #urlFor({ name, password }: { name: string; password: string }): string {
    const user = password ? `${encodeURIComponent(name)}:${encodeURIComponent(password)}@` : ''
    return `${this.#options.tls ? 'rediss' : 'redis'}://${user}127.0.0.1:${this.#port}`
  }
}

/** Starts a Redis, or a sentinel; stopped with the test. */
export async function startRedis(program: string, options?: RedisOptions): Promise<RedisServer> {
  const server = new RedisServer(program, options)
  onTestFinished(() => server.stop())
  await server.start()
  return server
}

/** Without what would leave it to a later test in another state, or running when the worker has ended. */
export type SharedRedis = Pick<RedisServer, 'url' | 'port' | 'command'>

let shared: Promise<RedisServer> | undefined

/** The one Redis of this worker, for tests with keys of their own. @throws Error when redis-server is not installed */
export function sharedRedis(): Promise<SharedRedis> {
  shared ??= startShared()
  return shared
}

async function startShared(): Promise<RedisServer> {
  const program = findProgram('redis')
  if (!program) throw new Error('redis-server is not installed')
  const server = new RedisServer(program)
  await server.start()
  server.endWithThisProcess()
  return server
}
