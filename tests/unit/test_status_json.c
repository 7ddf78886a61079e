/* SPDX-License-Identifier: MIT */
#include "fs/status_json.h"

static void check(const char *text, const char *expected)
{
    g_autofree char *json = status_to_json(text);

    g_assert_cmpstr(json, ==, expected);
}

static void test_values(void)
{
    check("", "{\n  \"unsent\": [],\n  \"pending\": [],\n  \"kept\": []\n}\n");
    check("a: 1\nb: -7\nc: 007\nd: 1x\ne: \nf: g: h\nno colon\n99999999999999999999: 99999999999999999999\n",
          "{\n  \"a\": 1,\n  \"b\": -7,\n  \"c\": \"007\",\n  \"d\": \"1x\",\n  \"e\": \"\",\n  \"f\": \"g: h\",\n"
          "  \"99999999999999999999\": \"99999999999999999999\",\n"
          "  \"unsent\": [],\n  \"pending\": [],\n  \"kept\": []\n}\n");
    check("q: \"\\\t\xff\n", "{\n  \"q\": \"\\\"\\\\\\u0009\xEF\xBF\xBD\",\n"
                             "  \"unsent\": [],\n  \"pending\": [],\n  \"kept\": []\n}\n");
}

static void test_lists(void)
{
    check("unsent: 12 bytes of /a b\nunsent: 0 bytes of 5\nunsent: strange\npending: 7 % of 10 bytes, 3 B/s, /c, d\n"
          "kept: x\nkept: /in /a (b) in /s in p/lost+found/a (b).0123abcd (no (really) (no))\n",
          "{\n  \"unsent\": [\n    {\"bytes\": 12, \"path\": \"/a b\"},\n    {\"bytes\": 0, \"path\": \"5\"},\n"
          "    \"strange\"],\n"
          "  \"pending\": [\n    {\"percent\": 7, \"bytes\": 10, \"bytes_per_second\": 3, \"path\": \"/c, d\"}],\n"
          "  \"kept\": [\n    \"x\",\n    {\"path\": \"/in /a (b)\", \"file\": \"/s in p/lost+found/a (b).0123abcd\", "
          "\"why\": \"no (really) (no)\"}]\n}\n");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/status_json/values", test_values);
    g_test_add_func("/status_json/lists", test_lists);
    return g_test_run();
}
