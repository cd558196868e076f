"""Whether answers fit the service's own OpenAPI document: as much of JSON Schema as such documents use."""

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


class Document:
    def __init__(self, shown):
        self.shown = shown

    def resolve(self, schema):
        while isinstance(schema, dict) and "$ref" in schema:
            node = self.shown
            for part in schema["$ref"].lstrip("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]
            schema = node
        return schema

    def answer(self, path, status="200"):
        """The schema of a GET's answer, or None where the document names none."""
        found = self.shown.get("paths", {}).get(path, {}).get("get", {}).get("responses", {}).get(status)
        content = self.resolve(found or {}).get("content", {})
        return next((one.get("schema") for kind, one in content.items() if kind.endswith("json")), None)

    def faults(self, schema, value, at="$"):
        schema = self.resolve(schema)
        if not isinstance(schema, dict):
            return []
        for word in ("oneOf", "anyOf"):
            if word in schema:
                tries = [self.faults(one, value, at) for one in schema[word]]
                if all(tries):
                    return ["%s: %r fits none of the alternatives (%s)" % (at, value, "; ".join(one[0] for one in tries)[:300])]
        out = [fault for part in schema.get("allOf", []) for fault in self.faults(part, value, at)]
        if not self.type_fits(schema.get("type"), value):
            return out + ["%s: %r is no %s" % (at, value, schema["type"])]
        if "enum" in schema and value not in schema["enum"]:
            out.append("%s: %r is not in %s" % (at, value, schema["enum"]))
        if isinstance(value, dict):
            named = schema.get("properties", {})
            out += ["%s: %s is missing" % (at, name) for name in schema.get("required", []) if name not in value]
            more = schema.get("additionalProperties")
            for name, inner in value.items():
                inner_schema = named.get(name, more if isinstance(more, dict) else None)
                if inner_schema is not None:
                    out += self.faults(inner_schema, inner, at + "." + name)
        if isinstance(value, list) and "items" in schema:
            for inner in value:
                out += self.faults(schema["items"], inner, at + "[]")
        return out

    @staticmethod
    def type_fits(wanted, value):
        if wanted is None:
            return True
        names = wanted if isinstance(wanted, list) else [wanted]
        if isinstance(value, bool):
            return "boolean" in names
        if isinstance(value, int):
            return "integer" in names or "number" in names
        if isinstance(value, float):
            return "number" in names
        return any(name in TYPES and isinstance(value, TYPES[name]) for name in names)


def check_answers(recoup, cases):
    """(how many answers, faults) for the reads of the contract."""
    document = Document(recoup.api("GET", "/openapi.json", key=None)[2])
    paths = [("/v1/cases", "/v1/cases?limit=200"), ("/v1/inbox", "/v1/inbox?limit=200"), ("/v1/test-clock", "/v1/test-clock"),
             ("/v1/reports/recovery", "/v1/reports/recovery?cohort=month")]
    for case in cases[:6]:
        paths.append(("/v1/notifications", "/v1/notifications?case_id=" + case["id"]))
        paths += [("/v1/cases/{id}" + tail, "/v1/cases/" + case["id"] + tail) for tail in ("", "/timeline", "/explain", "/forecast")]
    faults = {}
    for name, path in paths:
        status, _, shown = recoup.api("GET", path)
        schema = document.answer(name)
        if status != 200 or schema is None:
            faults.setdefault("GET %s answered %s; schema in the document: %s" % (path if status != 200 else name, status, schema is not None), None)
            continue
        for fault in document.faults(schema, shown):
            faults.setdefault("GET %s %s" % (name, fault), None)
    return len(paths), [(None, text) for text in faults]
