export default {
  // The page and the gateway have one origin.
  server: { proxy: { '/v1': 'http://localhost:8080' } },
}
