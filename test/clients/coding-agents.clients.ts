import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startModels } from '../support/obedient-model.ts'
import { run, startHome } from './coding-agents/program.ts'
import { BUILT, describeIn, LANGUAGES } from './languages.ts'

// Programs that write code, as people start them from a script: with a model of each wire behind `/v1/responses`.

/** The program itself, which its package for every system would only start. */
const OPENCODE = join(BUILT, 'coding-agents/node_modules/opencode-linux-x64/bin/opencode')
const PATCH = '*** Begin Patch\n*** Add File: hello.txt\n+hello\n*** End Patch\n'

async function startCodex(model: string) {
  const { gateway, upstreams } = await startModels({ openai: ['gpt-5.5'], anthropic: ['claude-test'] })
  const place = await startHome({
    '.codex/config.toml': `
      model = "${model}"
      model_provider = "sluice"
      approval_policy = "never"
      sandbox_mode = "danger-full-access"
      [model_providers.sluice]
      name = "Sluice"
      base_url = "${gateway.url}/v1"
      wire_api = "responses"
      request_max_retries = 0
      stream_max_retries = 0
    `,
  })
  const codex = async (...args: string[]) => {
    const command = [...LANGUAGES['coding-agents'].run, 'exec', '--skip-git-repo-check', '--json', ...args]
    const events = await run(command, place)
    return events.flatMap(({ type, item }) => (type === 'item.completed' ? [item as Record<string, unknown>] : []))
  }
  return { ...place, upstreams, codex }
}

async function startOpencode(model: string) {
  const { gateway, upstreams } = await startModels({ openai: ['gpt-test'], anthropic: ['claude-test'] })
  const models = { [model]: { name: model, tool_call: true } }
  const openai = { npm: '@ai-sdk/openai', options: { baseURL: `${gateway.url}/v1`, apiKey: 'key' }, models }
  const config = {
    autoupdate: false,
    enabled_providers: ['openai'],
    small_model: `openai/${model}`,
    permission: { bash: 'allow' },
    provider: { openai },
  }
  const place = await startHome({ '.config/opencode/opencode.json': JSON.stringify(config) })
  const opencode = (input: string) =>
    run([OPENCODE, 'run', '--format', 'json', '-m', `openai/${model}`], place, {
      input,
      // It would ask for its list of models from outside.
      environment: { OPENCODE_DISABLE_MODELS_FETCH: '1', OPENCODE_DISABLE_AUTOUPDATE: '1' },
    })
  return { opencode, upstreams }
}

describeIn('coding-agents', () => {
  describe.each(['gpt-5.5', 'claude-test'])('Codex with %s', (model) => {
    it('runs a command, and goes on in another process', async () => {
      const { codex, upstreams } = await startCodex(model)
      const items = await codex('CALL exec_command {"cmd":"echo from the tool"}')
      const execution = expect.objectContaining({ exit_code: 0, aggregated_output: 'from the tool\n' })
      expect(items).toContainEqual(execution)
      expect(items.at(-1)).toMatchObject({ type: 'agent_message', text: expect.stringContaining('from the tool') })

      const more = await codex('resume', '--last', 'SAY Still here.')
      expect(more.at(-1)).toMatchObject({ type: 'agent_message', text: 'Still here.' })
      const requests = upstreams[model === 'claude-test' ? 'anthropic' : 'openai'].requests
      expect(JSON.stringify(requests.at(-1)?.body.messages)).toContain('from the tool')
      expect(requests).toHaveLength(3)
    })
  })

  it('Codex writes a file with its custom tool', async () => {
    const { codex, project } = await startCodex('gpt-5.5')
    const items = await codex(`CALL apply_patch ${JSON.stringify({ input: PATCH })}`)
    expect(await readFile(join(project, 'hello.txt'), 'utf8')).toBe('hello\n')
    expect(items).toContainEqual(expect.objectContaining({ type: 'file_change', status: 'completed' }))
  })

  const here = it.runIf(process.platform === 'linux' && process.arch === 'x64')
  here.each(['gpt-test', 'claude-test'])('opencode runs a command with %s', async (model) => {
    const { opencode } = await startOpencode(model)
    const events = await opencode('CALL bash {"command":"echo from the tool","description":"Says it."}')
    const parts = events.map(({ part }) => part)
    const output = 'from the tool\n'
    expect(parts).toContainEqual(expect.objectContaining({ tool: 'bash', state: expect.objectContaining({ output }) }))
    expect(parts).toContainEqual(expect.objectContaining({ type: 'text', text: output }))
    expect(events.filter(({ type }) => type === 'error')).toStrictEqual([])
  })
})
