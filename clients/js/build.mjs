// Build the packages into packages/*/dist, and the files that the platform serves into sdk/VERSION.
//
//   node build.mjs             all
//   node build.mjs --embed     sdk/VERSION alone; needs esbuild, no types
//   node build.mjs --replace   also where sdk/VERSION exists with other bytes: it must not have been released
//
// A page names sdk/VERSION with the hash of its bytes, so a released version never changes: raise the version in
// packages/js/package.json, and leave the folders of earlier ones.

import { build, transform, transformSync } from "esbuild";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const TOP = dirname(fileURLToPath(import.meta.url));
const SCRIPTS = { "bakeoff.js": "embed.ts", "slate.js": "slate-embed.ts", "survey.js": "survey-embed.ts" };
const read = (...path) => readFileSync(join(TOP, ...path), "utf8");

/** The style of an element is minified as the script around it is. */
const styles = {
  name: "styles",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => ({
      loader: "ts",
      contents: readFileSync(path, "utf8").replace(/(?<=const STYLE = `)[^`]*/, (css) =>
        transformSync(css, { loader: "css", minify: true }).code.trim(),
      ),
    }));
  },
};

/** Build the scripts that pages load by their address. */
async function buildScripts() {
  const { version } = JSON.parse(read("packages/js/package.json"));
  for (const [file, source] of Object.entries(SCRIPTS)) {
    const { outputFiles } = await build({
      entryPoints: [join(TOP, "packages/js/src", source)],
      bundle: true,
      format: "iife",
      minify: true,
      plugins: [styles],
      target: "es2022",
      define: { VERSION: JSON.stringify(version) },
      write: false,
      absWorkingDir: TOP,
    });
    const bytes = Buffer.from(outputFiles[0].contents);
    place(join(TOP, "sdk", version, file), bytes);
    write(join(TOP, "packages/js/dist", file), bytes);
  }
}

function place(path, bytes) {
  const known = existsSync(path) && readFileSync(path);
  if (known && !known.equals(bytes) && !process.argv.includes("--replace")) {
    console.error(`${path} exists with other bytes: raise the version in packages/js/package.json.`);
    process.exit(1);
  }
  write(path, bytes);
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** Translate every module of a package, for import and for require, and write its types. */
async function buildPackage(name) {
  const folder = join(TOP, "packages", name);
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  const sources = readdirSync(join(folder, "src")).filter((file) => !Object.values(SCRIPTS).includes(file));
  for (const file of sources) {
    const source = read("packages", name, "src", file);
    for (const format of ["esm", "cjs"]) {
      const options = { loader: extname(file).slice(1), format, target: "es2022", jsx: "automatic" };
      let { code } = await transform(source, options);
      if (file === "index.tsx") code = `"use client";\n${code}`; // for frameworks with server components
      write(join(folder, "dist", format, basename(file, extname(file)) + ".js"), code);
    }
  }
  execFileSync(process.execPath, [join(TOP, "node_modules/typescript/bin/tsc"), "-p", folder], { stdio: "inherit" });
  for (const file of readdirSync(join(folder, "dist/esm")).filter((file) => file.endsWith(".d.ts")))
    cpSync(join(folder, "dist/esm", file), join(folder, "dist/cjs", file));
  write(join(folder, "dist/cjs/package.json"), '{ "type": "commonjs" }\n');
}

if (!process.argv.includes("--embed")) for (const name of ["js", "react"]) await buildPackage(name);
await buildScripts();
