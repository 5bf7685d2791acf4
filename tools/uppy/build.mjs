// One JavaScript and one CSS file, and the licence texts of every package in them.
import { build } from "esbuild";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const OUT = "../../collection/static/collection/vendor";
const { metafile } = await build({
  entryPoints: { uppy: "entry.js" },
  outdir: OUT,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022"],
  legalComments: "none",
  metafile: true,
});

const root = (file) => {
  let folder = dirname(file);
  while (!(existsSync(join(folder, "package.json")) && JSON.parse(readFileSync(join(folder, "package.json"))).version)) {
    folder = dirname(folder);
  }
  return folder;
};
const folders = [...new Set(Object.keys(metafile.inputs).filter((file) => file.startsWith("node_modules")).map(root))].sort();
const text = folders.map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json")));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : "No licence file in the package."}\n`;
});
writeFileSync(join(OUT, "uppy.LICENSES.txt"), text.join(`\n${"-".repeat(78)}\n\n`));
