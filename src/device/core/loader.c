// SPDX-License-Identifier: MIT
// Loads OpenCL's ICD loader and CLBlast.
#define CLRNN_LOADER_C
#include "device/core/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"

// The file name (soname) of each library, and the Debian package that contains it. The names have not changed since the
// libraries' first stable versions.
static const char *const libraries[][2] = {{"libOpenCL.so.1", "ocl-icd-libopencl1"},
                                           {"libclblast.so.1", "libclblast1"}};

static const char *const names[] = {
#define X(name) #name,
    CLRNN_LOADED_FUNCTIONS(X) CLRNN_OPTIONAL_FUNCTIONS(X)
#undef X
};
#define X(name) +1
enum { REQUIRED = 0 CLRNN_LOADED_FUNCTIONS(X) };
#undef X

struct clrnn_loaded_functions clrnn_loaded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool loaded;

static char *load(void)
{
    void *address[ARRAY_SIZE(names)];

    _Static_assert(sizeof(address) == sizeof(clrnn_loaded), "a pointer to a function is as large as one to data");
    errno = 0;
    for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
        if (!dlopen(libraries[i][0], RTLD_NOW | RTLD_GLOBAL)) // GLOBAL: CLBlast itself calls OpenCL
            return errno == ENOMEM ? NULL : clrnn_format("%s; install it (Debian: %s)", dlerror(), libraries[i][1]);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        address[i] = dlsym(RTLD_DEFAULT, names[i]); // DEFAULT: a preloaded library takes precedence
        if (!address[i] && i < REQUIRED)
            return clrnn_format("%s lacks %s", libraries[strncmp(names[i], "CLBlast", 7) == 0][0], names[i]);
    }
    memcpy(&clrnn_loaded, address, sizeof(address)); // C has no cast from data to function pointers
    return NULL;
}

char *clrnn_opencl_load(void)
{
    char *why = NULL;

    pthread_mutex_lock(&lock);
    if (!loaded) {
        why = load();
        loaded = clrnn_loaded.clGetPlatformIDs;
        if (!loaded && !why)
            why = calloc(1, 1);
    }
    pthread_mutex_unlock(&lock);
    return why;
}
