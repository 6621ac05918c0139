/* Fields of a source: what each column is called, where a record has it, and what it may hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/config/config.h"
#include "engine/config/suggest.h"

static const char *const type_names[] = {"text",      "bigint", "integer", "boolean",
                                         "timestamp", "date",   "numeric", "enum"};

enum { PRECISION_MAX = 38 };

/* "numeric", "numeric(p)" or "numeric(p,s)". */
static bool parse_numeric(const char *text, struct tg_column *column)
{
    if (strncmp(text, "numeric", 7) != 0) { return false; }
    column->type = TG_TYPE_NUMERIC;
    column->precision = PRECISION_MAX;
    column->scale = 0;
    if (text[7] == '\0') { return true; }
    unsigned precision = 0;
    unsigned scale = 0;
    int end = -1;
    if (sscanf(text, "numeric(%2u)%n", &precision, &end) != 1 || end < 0) {
        end = -1;
        if (sscanf(text, "numeric(%2u ,%2u )%n", &precision, &scale, &end) != 2 || end < 0) { return false; }
    }
    column->precision = (uint8_t)precision;
    column->scale = (uint8_t)scale;
    return text[end] == '\0' && precision >= 1 && precision <= PRECISION_MAX && scale <= precision;
}

static bool parse_type(const char *text, struct tg_column *column)
{
    for (enum tg_type type = TG_TYPE_TEXT; type <= TG_TYPE_ENUM; type++) {
        if (type != TG_TYPE_NUMERIC && strcmp(tg_type_name(type), text) == 0) {
            column->type = type;
            return true;
        }
    }
    return parse_numeric(text, column);
}

/* `{type: numeric(18,2), ...}`: inside braces YAML ends a plain text at the comma, which leaves "numeric(18" and a key
 * "2)" without a value. Nobody means that, so the two are put together again. */
static const struct tg_yaml_node *join_numeric(struct tg_config *config, const struct tg_yaml_node *map)
{
    for (uint32_t i = 0; map->kind == TG_YAML_MAP && i + 1 < map->count; i++) {
        const struct tg_yaml_entry *type = &map->entries[i];
        const struct tg_yaml_entry *rest = &map->entries[i + 1];
        if (strcmp(type->key->text, "type") != 0 || type->value->kind != TG_YAML_SCALAR) { continue; }
        const char *head = type->value->text;
        const char *tail = rest->key->text;
        const bool split = strncmp(head, "numeric(", 8) == 0 && strchr(head, ')') == NULL &&
                           tg_yaml_is_null(rest->value) && strspn(tail, "0123456789") + 1 == strlen(tail) &&
                           tail[strlen(tail) - 1] == ')';
        if (!split) { continue; }
        struct tg_yaml_node *joined = tg_config_alloc(config, sizeof *joined);
        struct tg_yaml_node *value = tg_config_alloc(config, sizeof *value);
        *joined = *map;
        joined->entries = tg_config_alloc(config, map->count * sizeof *joined->entries);
        joined->count = 0;
        *value = *type->value;
        value->text = tg_config_format(config, "%s,%s", head, tail);
        value->end_line = rest->key->end_line;
        value->end_column = rest->key->end_column;
        for (uint32_t k = 0; k < map->count; k++) {
            if (k != i + 1) { joined->entries[joined->count++] = map->entries[k]; }
        }
        joined->entries[i].value = value;
        return joined;
    }
    return map;
}

static void refuse(struct tg_config *config, const struct tg_config_values *values, const char *name, const char *why)
{
    const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_FIELD, name);
    if (tg_yaml_is_null(at->value)) { return; }
    tg_draft_hint(tg_finding_add(&config->drafts, TG1004, at->key, "%s has no meaning here", name), "%s", why);
}

static void read_numeric(struct tg_config *config, const struct tg_config_values *values, struct tg_column *column,
                         struct tg_field_spec *field)
{
    if (column->type != TG_TYPE_NUMERIC) {
        refuse(config, values, "scale", "it belongs to type numeric");
        refuse(config, values, "excess", "it belongs to type numeric");
        return;
    }
    field->excess_round = tg_config_value(values, TG_BLOCK_FIELD, "excess")->number == 1;
    const struct tg_option_value *scale = tg_config_value(values, TG_BLOCK_FIELD, "scale");
    if (!scale->is_set) { return; }
    if (scale->number < 0 || scale->number > column->precision) {
        const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_FIELD, "scale");
        (void)tg_finding_add(&config->drafts, TG1004, at->value, "scale must be between 0 and the precision, %u",
                            column->precision);
        return;
    }
    column->scale = (uint8_t)scale->number;
}

static void read_enum(struct tg_config *config, const struct tg_config_values *values, struct tg_column *column)
{
    const struct tg_option_value *list = tg_config_value(values, TG_BLOCK_FIELD, "values");
    const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_FIELD, "values");
    if (column->type != TG_TYPE_ENUM) {
        refuse(config, values, "values", "it belongs to type enum");
        return;
    }
    if (!list->is_set || list->count == 0) {
        tg_draft_hint(tg_finding_add(&config->drafts, TG1003, at->key, "missing key \"values\""),
                      "an enum lists its values: "
                      "values: [a, b]");
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(list->texts[i], list->texts[k]) != 0) { continue; }
            (void)tg_finding_add(&config->drafts, TG1007, at->key, "enum value \"%s\" twice", list->texts[i]);
        }
    }
    column->enum_count = (uint16_t)list->count;
    column->enum_values = list->texts;
}

static void read_names(struct tg_config *config, const struct tg_config_values *values, const struct tg_column *column,
                       struct tg_field_spec *field)
{
    const struct tg_option_value *path = tg_config_value(values, TG_BLOCK_FIELD, "path");
    const struct tg_option_value *aliases = tg_config_value(values, TG_BLOCK_FIELD, "aliases");
    const char **names = tg_config_alloc(config, (aliases->count + 1) * sizeof *names);
    const char *first = path->is_set && path->text != NULL ? path->text : column->name;
    names[0] = first;
    field->name_count = 1;
    for (uint32_t i = 0; i < aliases->count; i++) {
        if (strcmp(aliases->texts[i], first) != 0) { names[field->name_count++] = aliases->texts[i]; }
    }
    for (uint32_t i = 0; i < field->name_count; i++) {
        if (names[i][0] != '\0') { continue; }
        const struct tg_config_at *at = tg_config_at(values, TG_BLOCK_FIELD, i == 0 ? "path" : "aliases");
        (void)tg_finding_add(&config->drafts, TG1004, at->key, "an empty member name");
    }
    field->names = names;
}

static void read_field(struct tg_config *config, const struct tg_config_at *at, struct tg_column *column,
                       struct tg_field_spec *field)
{
    struct tg_config_values values;
    column->type = TG_TYPE_TEXT;
    if (!tg_config_read(config, at, TG_BLOCK_FIELD, &values)) { return; }
    const struct tg_option_value *type = tg_config_value(&values, TG_BLOCK_FIELD, "type");
    const struct tg_config_at *type_at = tg_config_at(&values, TG_BLOCK_FIELD, "type");
    const bool known = type->is_set && parse_type(type->text, column);
    if (type->is_set && !known) {
        /* Go on with what was probably meant: one mistake, one finding. */
        const char *meant = tg_suggest(type->text, sizeof type_names / sizeof type_names[0], type_names);
        if (meant == NULL || !parse_type(meant, column)) { column->type = TG_TYPE_TEXT; }
        struct tg_draft *draft =
            tg_finding_add(&config->drafts, TG1004, type_at->value, "unknown type \"%s\"", type->text);
        tg_draft_suggest(draft, type->text, sizeof type_names / sizeof type_names[0], type_names, "types");
        tg_draft_hint(draft, "numeric(precision,scale) with 1 to 38 digits");
    }
    field->required = tg_config_value(&values, TG_BLOCK_FIELD, "required")->number == 1;
    field->integer_ok = tg_config_value(&values, TG_BLOCK_FIELD, "integer_ok")->number == 1;
    const struct tg_option_value *epoch = tg_config_value(&values, TG_BLOCK_FIELD, "epoch");
    field->epoch = epoch->is_set && epoch->number >= 0 ? (enum tg_epoch)(TG_EPOCH_S + epoch->number) : TG_EPOCH_NONE;
    read_names(config, &values, column, field);
    if (!known) { return; }
    if (column->type != TG_TYPE_TEXT) { refuse(config, &values, "integer_ok", "it belongs to type text"); }
    if (column->type != TG_TYPE_TIMESTAMP) { refuse(config, &values, "epoch", "it belongs to type timestamp"); }
    read_numeric(config, &values, column, field);
    read_enum(config, &values, column);
}

void tg_config_fields(struct tg_config *config, const struct tg_config_at *fields, struct tg_source_spec *source,
                      const struct tg_yaml_node *declared[TG_COLUMNS_MAX])
{
    struct tg_schema *schema = &source->schema;
    schema->name = source->name;
    if (tg_yaml_is_null(fields->value)) { return; }
    if (fields->value->kind != TG_YAML_MAP) {
        (void)tg_finding_add(&config->drafts, TG1004, fields->key,
                             "fields is %s, it should be a mapping of names to types",
                             tg_yaml_kind_name(fields->value->kind));
        return;
    }
    if (fields->value->count > TG_COLUMNS_MAX) {
        (void)tg_finding_add(&config->drafts, TG1004, fields->key, "more than %d fields", TG_COLUMNS_MAX);
        return;
    }
    for (uint32_t i = 0; i < fields->value->count; i++) {
        const struct tg_yaml_entry *entry = &fields->value->entries[i];
        struct tg_config_at at = tg_config_child(config, fields, entry);
        struct tg_column *column = &schema->columns[schema->column_count];
        declared[schema->column_count] = entry->key;
        column->name = entry->key->text;
        (void)tg_config_name(config, entry->key);
        if (at.value->kind == TG_YAML_SCALAR && !tg_yaml_is_null(at.value)) {
            struct tg_yaml_node *key = tg_config_alloc(config, sizeof *key);
            *key = *at.value;
            key->text = "type";
            at.value = tg_yaml_map_of(config->arena, key, at.value);
        }
        at.value = join_numeric(config, at.value);
        read_field(config, &at, column, &source->fields[schema->column_count]);
        schema->column_count++;
    }
    if (schema->column_count == 0) { (void)tg_finding_add(&config->drafts, TG1003, fields->key, "no fields"); }
    tg_schema_layout(schema);
}
