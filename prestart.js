// Before `npm start`: builds where the compiler is installed. `npm ci --omit=dev` installs none: what was built then starts.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

if (existsSync('node_modules/typescript')) {
  process.exitCode = spawnSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' }).status ?? 1
} else if (!existsSync('dist/src/main.js')) {
  process.stderr.write(
    'sluice: dist/ has not been built. Run "npm ci && npm run build" once; then "npm ci --omit=dev" will do.\n',
  )
  process.exitCode = 1
}
