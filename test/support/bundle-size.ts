import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { ROOT } from './process.ts'

/**
 * Bytes that a page loads before it can use a module, minified and compressed; parts that are imported later, when
 * they are needed, are not among them. Packages are somebody else's.
 */
export async function bundleSize(entry: string): Promise<number> {
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    minify: true,
    platform: 'browser',
    packages: 'external',
    format: 'esm',
    outdir: 'bundle',
    metafile: true,
    write: false,
  })
  const outputs = Object.entries(metafile.outputs)
  const loaded = new Set(outputs.filter(([, { entryPoint }]) => entryPoint === entry).map(([path]) => path))
  for (const path of loaded)
    for (const { kind, path: imported, external } of metafile.outputs[path]?.imports ?? [])
      if (kind === 'import-statement' && !external) loaded.add(imported)
  const texts = [...loaded].map((path) => outputFiles.find((file) => file.path.endsWith(`/${path}`))?.text ?? '')
  return gzipSync(texts.join(''), { level: 9 }).length
}
