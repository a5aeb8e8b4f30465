// Unleash beside us, on the same PostgreSQL: `node unleash.mjs FOLDER HOST DATABASE USER PORT`.
const [folder, host, database, user, port] = process.argv.slice(2);
const { start } = await import(`${folder}/node_modules/unleash-server/dist/lib/server-impl.js`);
await start({
  db: { host, database, user, password: "", port: 5432, ssl: false },
  server: { port: Number(port) },
  logLevel: "error",
  versionCheck: { enable: false },
  authentication: {
    initApiTokens: [
      { environment: "*", project: "*", secret: "*:*.admin", type: "admin", tokenName: "admin" },
      { environment: "development", projects: ["default"], secret: "default:development.frontend", type: "frontend", tokenName: "frontend" },
    ],
  },
});
