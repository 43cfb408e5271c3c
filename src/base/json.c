// SPDX-License-Identifier: MIT
// Notices when an allocation of jansson fails.
#include "base/json.h"

#include <stdlib.h>

static json_malloc_t former_malloc;
static json_free_t former_free;
static _Thread_local bool failed;

static void *noticing_malloc(size_t size)
{
    void *memory = former_malloc(size);

    failed |= !memory;
    return memory;
}

// The application may have set jansson's allocation functions. So its malloc is wrapped and its free is kept: values
// that were allocated before can still be freed.
__attribute__((constructor)) static void notice(void)
{
    json_get_alloc_funcs(&former_malloc, &former_free);
    json_set_alloc_funcs(noticing_malloc, former_free);
}

void clrnn_json_lacks_memory(void)
{
    failed = true;
}

bool clrnn_json_out_of_memory(void)
{
    const bool now = failed;

    failed = false;
    return now;
}

char *clrnn_json_dumps(const json_t *value, size_t flags)
{
    char *text = value ? json_dumps(value, flags) : NULL;

    if (!clrnn_json_out_of_memory())
        return text;
    free(text);
    return NULL;
}
