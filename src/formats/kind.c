// SPDX-License-Identifier: MIT
// Recognises files of a wrong kind by their first bytes.
#include "formats/kind.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/array.h"

#define ENOUGH 64u // first bytes that are examined to decide whether a file is text

static const struct kind {
    const char *magic;
    size_t size;
    const char *advice;
} kinds[] = {
    {"\x93NUMPY", 6, "it is a .npy file: name it by x or y, not by csv"},
    {"PK\x03\x04", 4,
     "it is a zip archive, as .npz, .pt and .xlsx files are: an array of an .npz is named FILE.npz:NAME, or taken out, "
     "numpy.save('X.npy', numpy.load('FILE.npz')['NAME']); from .pt, numpy.save('X.npy', tensor.numpy())"},
    {"\x89HDF", 4, "it is an HDF5 file (.h5, newer .mat): numpy.save('X.npy', h5py.File('FILE')['NAME'][:])"},
    {"MATLAB 5.0", 10, "it is a .mat file: numpy.save('X.npy', scipy.io.loadmat('FILE')['NAME'])"},
    {"PAR1", 4, "it is a parquet file: pandas.read_parquet('FILE').to_csv('FILE.csv', index=False)"},
    {"\x1f\x8b", 2, "it is compressed by gzip: gunzip it first"},
    {"\x80\x02", 2, "it is a Python pickle: load it, then numpy.save('X.npy', array)"},
    {"\x80\x03", 2, "it is a Python pickle: load it, then numpy.save('X.npy', array)"},
    {"\x80\x04", 2, "it is a Python pickle: load it, then numpy.save('X.npy', array)"},
    {"\x80\x05", 2, "it is a Python pickle: load it, then numpy.save('X.npy', array)"},
    {"\xff\xfe", 2, "it is text in UTF-16: save it as UTF-8, iconv -f UTF-16 -t UTF-8 FILE"},
    {"\xfe\xff", 2, "it is text in UTF-16: save it as UTF-8, iconv -f UTF-16 -t UTF-8 FILE"},
};

static bool is_text(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < MIN2(size, ENOUGH); i++)
        if (!isprint(bytes[i]) && !isspace(bytes[i]))
            return false;
    return size > 0;
}

const char *clrnn_file_kind(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (size >= kinds[i].size && !memcmp(bytes, kinds[i].magic, kinds[i].size))
            return kinds[i].advice;
    return is_text(bytes, size) ? "it is text: name a CSV file by {csv: FILE, label: COLUMN} instead of x and y; other "
                                  "tables, numpy.save('X.npy', numpy.loadtxt('FILE'))"
                                : "";
}
