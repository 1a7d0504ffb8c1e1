// Writes a configuration file: tables, lists of tables, strings, numbers, switches, lists of strings.

/** An object of options, as the operator would write it; those that are undefined are left out. */
export function toml(options, path = []) {
  const plain = [];
  const tables = [];
  for (const [key, value] of Object.entries(options).filter(([, value]) => value !== undefined)) {
    const place = [...path, key];
    if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
      for (const item of value) tables.push(`[[${place.join(".")}]]\n${toml(item, place)}`);
    } else if (typeof value === "object" && !Array.isArray(value)) {
      tables.push(`[${place.join(".")}]\n${toml(value, place)}`);
    } else {
      // Strings of JSON are strings of TOML; so are lists of them, numbers and switches.
      plain.push(`${key} = ${JSON.stringify(value)}\n`);
    }
  }
  return plain.join("") + tables.join("");
}
