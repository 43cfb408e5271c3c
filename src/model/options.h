// SPDX-License-Identifier: MIT
// The config's options as tables, used by the parser, the checks, the writer and the help.
//
// A group describes a map in the config and the struct that it fills ("train", "lstm"); an option is a key of
// the map. Options may contain groups, so that every key can be reached from clrnn_options_root.
#ifndef CLRNN_SRC_MODEL_OPTIONS_H
#define CLRNN_SRC_MODEL_OPTIONS_H

#include "base/yaml.h"
#include "clrnn/config.h"

#define CLRNN_MAX_SIZE 16777216 // largest size of one dimension
#define CLRNN_MAX_LAYERS 1024   // entries of model.layers, as doc/config.md states it

enum clrnn_option_type {
    CLRNN_OPTION_BOOL,   // bool
    CLRNN_OPTION_U32,    // uint32_t; each of `words` gives 0; words[0] also sets the bool at `third`
    CLRNN_OPTION_I32,    // int32_t
    CLRNN_OPTION_U64,    // uint64_t
    CLRNN_OPTION_I64,    // int64_t
    CLRNN_OPTION_WHOLE,  // a whole number, kept in a double
    CLRNN_OPTION_NUMBER, // double
    CLRNN_OPTION_TEXT,   // char *, owned; one of `words` where there are words
    CLRNN_OPTION_PATH,   // char *, owned; a file, relative to the config's folder
    CLRNN_OPTION_NAMES,  // char *, owned; a text or a list of texts, stored one per line
    CLRNN_OPTION_CHOICE, // enum: an index into `words`
    CLRNN_OPTION_FLAG,   // bool: words[0] is false, words[1] true
    CLRNN_OPTION_PAIR,   // two numbers: doubles at `offset` and `second`
    CLRNN_OPTION_LIST,   // numbers: double *, owned, at `offset`; size_t count at `second`; or the word
                         // words[0], which sets the bool at `third`
    CLRNN_OPTION_GROUP,  // groups[0] on the struct at `offset`; bool "is present" at `second`, or SIZE_MAX
    CLRNN_OPTION_ONE_OF, // one of `groups`, on the struct at `offset`, whose first member is the kind; null:
                         // kind 0
    CLRNN_OPTION_INITIALIZER, // struct clrnn_initializer: a name, a number, {uniform: [a, b]} or {normal: [m,
                              // s]}
    CLRNN_OPTION_LAYERS,      // a list of layers, each one of `groups`, stored in config->layer
    CLRNN_OPTION_INNER,       // a list of the layers inside a layer, which follow it in config->layer
    CLRNN_OPTION_BRANCHES,    // a list of lists of layers
};

struct clrnn_option_group;

struct clrnn_option {
    const char *key;
    enum clrnn_option_type type;
    bool required;
    bool whole_list;              // lists: whole numbers only
    bool quiet;                   // left out of a written config where it is null
    size_t offset, second, third; // byte offsets in the group's struct
    const char *def;              // the default as YAML; NULL: required, or a group
    const char *null;             // the number that null means; "": not a number; NULL: null is not allowed
    bool null_flag;               // numbers: null sets the bool at `second`
    double min, max;              // numbers, list entries: bounds
    bool above, below;            // above: min is not allowed; below: max is not allowed
    const char *const *words;     // ended by NULL
    const struct clrnn_option_group *const *groups; // ended by NULL
    const char *help;
};

struct clrnn_option_group {
    const char *word; // the group's key: "lstm"
    int kind;         // of LAYERS and ONE_OF: the enum's value
    size_t line;      // offset of an int for the line number, or CLRNN_NO_LINE
    const struct clrnn_option *option;
    size_t count;
    const char *help;
};
#define CLRNN_NO_LINE SIZE_MAX

/** The whole config: model, train, data. */
extern const struct clrnn_option_group clrnn_options_root;

/** The groups of a kind, ended by NULL: "rnn", "lstm" ...; "cross_entropy" ... */
extern const struct clrnn_option_group *const clrnn_options_layers[];
extern const struct clrnn_option_group *const clrnn_options_losses[];
extern const struct clrnn_option_group *const clrnn_options_optimizers[];
extern const struct clrnn_option_group *const clrnn_options_schedulers[];

/** The group among `groups` with that kind, or with that word; NULL: there is none. */
const struct clrnn_option_group *clrnn_options_kind(const struct clrnn_option_group *const *groups, int kind);
const struct clrnn_option_group *clrnn_options_word(const struct clrnn_option_group *const *groups,
                                                    const char *word);

/** Describes the values that the option accepts: "a number from 0 to 1", "true or false", "tanh or relu". */
void clrnn_option_expects(const struct clrnn_option *option, char *text, size_t size);

/** Whether `node` is one initialiser. Where a map of them is expected, it sets the map's first option. */
bool clrnn_initializer_is(const struct clrnn_node *node);
/** Reads, writes and checks an initialiser. */
bool clrnn_initializer_read(const struct clrnn_node *node, struct clrnn_initializer *initializer);
struct clrnn_node *clrnn_initializer_write(const struct clrnn_initializer *initializer);
bool clrnn_initializer_fits(const struct clrnn_initializer *initializer);

/** Sets every row of the group in `object` to its default. False: no memory. */
bool clrnn_options_default(const struct clrnn_option_group *group, void *object);

/** Turns a layer into a fresh one of `kind` (without freeing memory that it owned). */
void clrnn_layer_default(struct clrnn_layer *layer, enum clrnn_layer_kind kind);

/** Reads one value into `object`. CLRNN_ERR_CONFIG, not logged, with the reason in `wrong` ("is 2, expected a
 * number from 0 to 1"); CLRNN_ERR_MEMORY. Not for GROUP, ONE_OF, LAYERS.
 */
enum clrnn_status clrnn_option_read(const struct clrnn_option *option, const struct clrnn_node *value,
                                    void *object, char *wrong, size_t wrong_size);

/** Returns a new scalar node with the escaped text (base/text.h). NULL: no memory. */
struct clrnn_node *clrnn_option_write_text(const char *text);
/** Returns the value as a new node that reads back as the same value. NULL: no memory. Not for GROUP, ONE_OF,
 *  LAYERS. */
struct clrnn_node *clrnn_option_write(const struct clrnn_option *option, const void *object);
/** Whether the option has the value that null means. */
bool clrnn_option_is_null(const struct clrnn_option *option, const void *object);

/** Whether the option's value is allowed; for configs made in code. */
bool clrnn_option_fits(const struct clrnn_option *option, const void *object);

/** Fills a new config (clrnn_config_create) from a tree. */
enum clrnn_status clrnn_config_fill(const struct clrnn_log *log, const struct clrnn_node *root,
                                    const char *name, struct clrnn_config *config);

/** Checks a config as far as possible without data: values out of range, layers that do not fit each other,
 * arguments that exclude each other. Also for configs made in code. `root` (may be NULL) gives line numbers
 * for messages, `name` is their prefix ("config.yaml"). CLRNN_ERR_CONFIG.
 */
enum clrnn_status clrnn_config_check(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_node *root, const char *name);

/** Features of the last layer's output; 0 if they depend on the data (no layer changes them). */
uint32_t clrnn_config_outputs(const struct clrnn_config *config);

/** The member of `object` at this byte offset. */
static inline void *clrnn_option_field(void *object, size_t offset)
{
    return (char *)object + offset;
}

static inline const void *clrnn_option_const_field(const void *object, size_t offset)
{
    return (const char *)object + offset;
}

#endif
