// SPDX-License-Identifier: MIT
// Escapes in texts: what is escaped, what is kept, and that every byte can be restored.
#include "base/array.h"
#include "base/text.h"
#include "tests/test.h"

static const struct {
    const char *text, *stored, *shown;
} cases[] = {
    {"", "", ""},
    {"gr\xc3\xb6\xc3\x9f"
     "e \xe6\x95\xb0 \xf0\x9f\x98\x80 a\\b",
     "gr\xc3\xb6\xc3\x9f"
     "e \xe6\x95\xb0 \xf0\x9f\x98\x80 a\\b",
     "gr\xc3\xb6\xc3\x9f"
     "e \xe6\x95\xb0 \xf0\x9f\x98\x80 a\\b"},
    {"a\033[2Jb\n\t\r\x7f", "a\033[2Jb\n\t\r\x7f", "a\\x1b[2Jb\\x0a\\x09\\x0d\\x7f"},
    {"\xc2\x9b"
     "2J",
     "\xc2\x9b"
     "2J",
     "\\xc2\\x9b2J"}, // the C1 control character CSI
    {"\xe2\x80\xae"
     "gpj \xe2\x80\xa8",
     "\xe2\x80\xae"
     "gpj \xe2\x80\xa8",
     "\\xe2\\x80\\xaegpj \\xe2\\x80\\xa8"},
    {"\xff\xfe", "\\xff\\xfe", "\\xff\\xfe"},
    {"\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80", "\\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80",
     "\\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80"}, // overlong encoding, surrogate, above U+10FFFF
    {"cut \xe2\x82", "cut \\xe2\\x82", "cut \\xe2\\x82"},
    {"\\x41 \\x4 \\\\x41", "\\x5cx41 \\x4 \\\\x5cx41", "\\x41 \\x4 \\\\x41"},
    {"\\x00 \\x000", "\\x00 \\x000", "\\x00 \\x000"},
};

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *stored = clrnn_text_escape(cases[i].text, CLRNN_TEXT_STORED);
        char *shown = clrnn_text_escape(cases[i].text, CLRNN_TEXT_SHOWN);

        assert_string_equal(stored, cases[i].stored);
        assert_string_equal(shown, cases[i].shown);
        assert_int_equal(clrnn_text_is_clean(cases[i].text, CLRNN_TEXT_STORED), !strcmp(stored, cases[i].text));
        assert_int_equal(clrnn_text_is_clean(cases[i].text, CLRNN_TEXT_SHOWN), !strcmp(shown, cases[i].text));
        free(stored);
        free(shown);
    }
}

static void test_fit(void **state)
{
    static const struct {
        const char *text;
        int width;
        const char *fitted;
    } fits[] = {
        {"abc", 5, "  abc"},
        {"abc", -5, "abc  "},
        {"abc", 2, "ab"},
        {"abc", -3, "abc"},
        {"", 2, "  "},
        {"gr\xc3\xb6\xc3\x9f", -3, "gr\xc3\xb6"},
        {"abc", 0, ""},
        {"\xc3\xb6", 3, "  \xc3\xb6"},
        {"\xf0\x9f\x98\x80z", 1, "\xf0\x9f\x98\x80"},
        {"\033z", -6, "\\x1bz "},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fits); i++) {
        char *fitted = clrnn_text_fit(fits[i].text, fits[i].width);

        assert_string_equal(fitted, fits[i].fitted);
        free(fitted);
    }
}

// Random texts over an alphabet with every character that matters must be restored.
static void test_round_trip(void **state)
{
    static const char alphabet[] = "\\x4aZ\n\033\x7f\xc2\x9b\xe2\x80\xae\xff";
    uint32_t draw = 1;

    (void)state;
    for (int n = 0; n < 20000; n++) {
        char text[9] = "", *escaped;

        for (size_t i = 0; i + 1 < sizeof(text); i++) {
            draw = draw * 1664525u + 1013904223u;
            text[i] = alphabet[(draw >> 16) % sizeof(alphabet)]; // including the terminating NUL
        }
        escaped = clrnn_text_escape(text, CLRNN_TEXT_STORED);
        assert_true(clrnn_text_is_clean(escaped, CLRNN_TEXT_BYTES));
        clrnn_text_unescape(escaped);
        assert_string_equal(escaped, text);
        free(escaped);
    }
}

static void test_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *array = json_pack("[o]", clrnn_json_text(cases[i].text)), *read;
        char *text = clrnn_json_dump(array, JSON_INDENT(1));

        assert_non_null(text);
        for (const char *at = text; *at; at++)
            assert_true(*at == '\n' || ((unsigned char)*at >= 0x20 && *at != 0x7f));
        assert_null(strstr(text, "\xc2\x9b"));
        assert_null(strstr(text, "\xe2\x80\xae"));
        read = json_loads(text, 0, NULL);
        assert_string_equal(json_string_value(json_array_get(read, 0)), cases[i].stored);
        json_decref(read);
        json_decref(array);
        free(text);
    }
    assert_true(json_is_null(clrnn_json_text(NULL)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_fit),
                                       cmocka_unit_test(test_round_trip), cmocka_unit_test(test_json)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
