// One JavaScript and one CSS file, and the licence texts of every package in them.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

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

const folderOf = (file) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(file)[0];
const inputs = Object.keys(metafile.inputs).filter((file) => file.includes("node_modules/"));
const licenceOf = (folder) => {
  const names = readdirSync(folder);
  const own = names.find((name) => /^licen[cs]e/i.test(name));
  if (own) return readFileSync(join(folder, own), "utf8").trim();
  const readme = readFileSync(join(folder, names.find((name) => /^readme/i.test(name))), "utf8");
  return readme.slice(readme.search(/^#+ licen[cs]e/im)).trim();
};
const texts = [...new Set(inputs.map(folderOf))].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json")));
  return `${name} ${version} (${license})\n\n${licenceOf(folder)}\n`;
});
writeFileSync(join(OUT, "uppy.LICENSES.txt"), texts.join(`\n${"-".repeat(78)}\n\n`));
