FROM node:26-alpine AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY providers providers
RUN npm run build && npm prune --omit=dev

FROM node:26-alpine
ENV NODE_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s CMD wget -qO- --no-check-certificate "http${TLS_CERT:+s}://127.0.0.1:${PORT:-8080}/healthz" || exit 1
# What `npm start` runs, without npm: SIGTERM must reach Node itself.
CMD ["node", "--v8-pool-size=1", "dist/src/main.js"]
