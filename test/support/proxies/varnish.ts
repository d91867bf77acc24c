import { PREFIX, startProxy } from './start-proxy.ts'

const configuration = ({ hostname, port }: URL) => `
  vcl 4.1;

  backend sluice {
    .host = "${hostname}";
    .port = "${port}";
  }

  sub vcl_recv {
    if (req.url !~ "^${PREFIX}/") {
      return (synth(404));
    }
    set req.url = regsub(req.url, "^${PREFIX}", "");
    set req.http.X-Forwarded-Prefix = "${PREFIX}";
  }
`

/** Varnish in front of `target`, with nothing set about what it keeps and for how long; resolves to its URL. */
export function startVarnish(program: string, target: string): Promise<string> {
  return startProxy(program, (port) => ({
    files: { 'sluice.vcl': configuration(new URL(target)) },
    // As root it would become a user who cannot come into this folder.
    args: (folder) => ['-F', '-j', 'none', '-n', folder, '-a', `127.0.0.1:${port}`, '-f', `${folder}/sluice.vcl`],
  }))
}
