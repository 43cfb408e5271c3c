// SPDX-License-Identifier: MIT
// The config's options as tables, used by the parser, the checks, the writer and the help.
//
// An option group describes a YAML map of the config ("train", "lstm") and the C struct that the map fills. An option
// describes a key of the map. Options may contain groups, so that clrnn_options_root leads to every key.
#ifndef CLRNN_SRC_MODEL_OPTIONS_H
#define CLRNN_SRC_MODEL_OPTIONS_H

#include "base/yaml.h"
#include "clrnn/config.h"

#define CLRNN_MAX_SIZE 16777216 // largest size of one dimension
#define CLRNN_MAX_LAYERS 1024   // most layers in a config, as doc/config.md says

enum clrnn_option_type {
    CLRNN_OPTION_BOOL, // bool
    // uint32_t: a whole number, or one of `words`, which sets it to 0. words[0] also sets the bool at `third`.
    CLRNN_OPTION_U32,
    CLRNN_OPTION_I32,    // int32_t
    CLRNN_OPTION_U64,    // uint64_t
    CLRNN_OPTION_I64,    // int64_t
    CLRNN_OPTION_WHOLE,  // a whole number, stored in a double
    CLRNN_OPTION_NUMBER, // double
    CLRNN_OPTION_TEXT,   // char *, owned by the struct: a string; if the option has `words`, one of them
    CLRNN_OPTION_PATH,   // char *, owned by the struct: the path of a file, relative to the config's folder
    CLRNN_OPTION_NAMES,  // char *, owned by the struct: a name or a list of names, stored one per line
    CLRNN_OPTION_CHOICE, // enum: an index into `words`
    CLRNN_OPTION_FLAG,   // bool: words[0] is false, words[1] true
    CLRNN_OPTION_PAIR,   // two numbers: doubles at `offset` and `second`
    // A list of numbers, stored as a double *, owned by the struct, at `offset`, and a count, size_t, at `second`. In
    // place of a list, the config may have the word words[0], which sets the bool at `third`.
    CLRNN_OPTION_LIST,
    // A map that groups[0] describes, for the struct at `offset`. The bool at `second` is set if the map is present;
    // SIZE_MAX: there is no such bool.
    CLRNN_OPTION_GROUP,
    // A map that one of `groups` describes, for the struct at `offset`. The first member of the struct is the group's
    // kind; null in the config sets it to 0.
    CLRNN_OPTION_ONE_OF,
    // struct clrnn_initializer: a name, a number, {uniform: [a, b]} or {normal: [mean, std]}.
    CLRNN_OPTION_INITIALIZER,
    CLRNN_OPTION_LAYERS,   // a list of layers, each one of `groups`, stored in config->layer
    CLRNN_OPTION_INNER,    // residual: a list of the layers inside it, which follow it in config->layer
    CLRNN_OPTION_BRANCHES, // concat: a list of branches, each a list of layers
};

struct clrnn_option_group;

struct clrnn_option {
    const char *key;
    enum clrnn_option_type type;
    bool required;
    bool whole_list; // lists: whole numbers only
    bool quiet;      // left out when the config is written, if the value is null
    // Whether the value follows from another key of the group's struct. It is then left out when the config is written,
    // so that it follows again when the other key is set.
    bool (*follows)(const void *object);
    size_t offset, second, third; // byte offsets in the group's struct
    const char *def;              // the default as YAML; NULL: there is none, and the key is required
    // For integers, and for numbers without null_flag: the number that null stands for. For other values: "", if null
    // is allowed. NULL: null is not allowed.
    const char *null;
    bool null_flag;           // numbers: null sets the bool at `second`
    double min, max;          // numbers, list entries: bounds
    bool above, below;        // above: min itself is not allowed; below: max itself is not allowed
    const char *const *words; // ended by NULL
    const struct clrnn_option_group *const *groups; // ended by NULL
    const char *help;
};

struct clrnn_option_group {
    const char *word; // the group's key: "lstm"
    int kind;         // for LAYERS and ONE_OF: the value of the enum, such as CLRNN_LAYER_LSTM
    size_t line;      // byte offset of an int that gets the line number in the file, or CLRNN_NO_LINE
    const struct clrnn_option *option;
    size_t count;
    const char *help;
};
#define CLRNN_NO_LINE SIZE_MAX

/** The group of the whole config, with the keys model, train and data. */
extern const struct clrnn_option_group clrnn_options_root;

/** All groups of layers, losses, optimisers and schedulers. Each list ends with NULL. */
extern const struct clrnn_option_group *const clrnn_options_layers[];
extern const struct clrnn_option_group *const clrnn_options_losses[];
extern const struct clrnn_option_group *const clrnn_options_optimizers[];
extern const struct clrnn_option_group *const clrnn_options_schedulers[];

/** Returns the group in `groups` whose kind is `kind` or, from clrnn_options_word, whose word is `word`. NULL: there is
 * none. */
const struct clrnn_option_group *clrnn_options_kind(const struct clrnn_option_group *const *groups, int kind);
const struct clrnn_option_group *clrnn_options_word(const struct clrnn_option_group *const *groups, const char *word);

/** Prints into `text` which values the option accepts: "a number from 0 to 1", "true or false", "tanh or relu". */
void clrnn_option_expects(const struct clrnn_option *option, char *text, size_t size);

/** Whether `node` is a single initialiser, not a map with an initialiser for each parameter name. Where such a map is
 * expected, a single initialiser sets the map's first option. */
bool clrnn_initializer_is(const struct clrnn_node *node);
/** Reads an initialiser. Returns false if `node` is not a valid one. */
bool clrnn_initializer_read(const struct clrnn_node *node, struct clrnn_initializer *initializer);
/** Returns the initialiser as a new node. NULL: out of memory. */
struct clrnn_node *clrnn_initializer_write(const struct clrnn_initializer *initializer);
/** Whether the kind and the numbers of the initialiser are valid. */
bool clrnn_initializer_fits(const struct clrnn_initializer *initializer);

/** Whether early stopping looks for the highest value of a metric, by default. */
bool clrnn_monitor_is_better_higher(const char *monitor);

/** Sets every option of the group to its default, in the struct `object`. Returns false if memory runs
 * out. */
bool clrnn_options_default(const struct clrnn_option_group *group, void *object);

/** Overwrites *layer with a layer of `kind` that has defaults everywhere. Does not free memory that *layer owned. */
void clrnn_layer_default(struct clrnn_layer *layer, enum clrnn_layer_kind kind);

/** Reads the value of one option into the struct `object`. Errors, which are not logged: CLRNN_ERR_CONFIG, with the
 * reason in `wrong` ("is 2, expected a number from 0 to 1"); CLRNN_ERR_MEMORY. Not for the types GROUP, ONE_OF,
 * LAYERS, INNER and BRANCHES. */
enum clrnn_status clrnn_option_read(const struct clrnn_option *option, const struct clrnn_node *value, void *object,
                                    char *wrong, size_t wrong_size);

/** Returns a new scalar node with the escaped text (base/text.h). NULL: out of memory. */
struct clrnn_node *clrnn_option_write_text(const char *text);
/** Returns the option's value in the struct `object` as a new node, which reads back as the same value. NULL: out of
 * memory. Not for the types GROUP, ONE_OF, LAYERS, INNER and BRANCHES. */
struct clrnn_node *clrnn_option_write(const struct clrnn_option *option, const void *object);
/** Whether the option's value in the struct `object` is the one that null stands for. */
bool clrnn_option_is_null(const struct clrnn_option *option, const void *object);

/** Whether the option's value in the struct `object` is allowed. Only configs made in code can have other values. */
bool clrnn_option_fits(const struct clrnn_option *option, const void *object);

/** Fills a new config (clrnn_config_create) from a YAML tree. `name` is the prefix of messages ("config.yaml"). Errors:
 * CLRNN_ERR_CONFIG, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_config_fill(const struct clrnn_log *log, const struct clrnn_node *root, const char *name,
                                    struct clrnn_config *config);

/** Checks a config as far as possible without data: values out of range, layers that do not fit each other, arguments
 * that exclude each other. The config may have been made in code. `root`, the YAML tree of the config or NULL, gives
 * line numbers for messages; `name` is their prefix ("config.yaml"). Errors: CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_config_check(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_node *root, const char *name);

/** Returns the number of features of the last layer's output. It is 0 if no layer sets the number, so that it depends
 * on the data. */
uint32_t clrnn_config_outputs(const struct clrnn_config *config);

/** Returns the address of the member of the struct `object` at this byte offset. */
static inline void *clrnn_option_field(void *object, size_t offset)
{
    return (char *)object + offset;
}

static inline const void *clrnn_option_const_field(const void *object, size_t offset)
{
    return (const char *)object + offset;
}

#endif
