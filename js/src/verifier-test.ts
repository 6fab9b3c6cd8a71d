// One RSA key and what it signed under each algorithm: what a host's verifier must say yes to, and no when a bit is wrong.
// Made once with node:crypto; the private key was not kept.

export const testKey = {
  kty: "RSA",
  e: "AQAB",
  n: "sLVp9264vQIpdbzfN3cnBbtDu1NQ55owYYFvMEHob5aElAB45iMi83P0woLCN1_Lj41yupq4gxGIG2xwJW50ShFMCwZLeo4gNcG0kr1YJM1H4P" +
    "720uwH2U-tkPmZDKi4tfTTiLdiaiG4tWbnYVjSp-iZYgFnvDddqV7grLofj3F3Z5-8UZrzfrnDFh919dv8ZsEqAyc82i8ONqh8L-ic0PjkYBro" +
    "KWjNsowgc-omQ5MiGV236wyq12cDP8ZNjDi9-rFjCShXjNve5oPCFH1Oy5QxZM3Mkdj8JEyIHq_kW3VLssYej5jhKQOgrnltI1wpbmDGc-6XKq" +
    "lu2EK_jHJe5w",
};

export const testInput = "postern";

/** base64url, by algorithm. */
export const testSignatures: Readonly<Record<string, string>> = {
  RS256:
    "Dpie_rvLp0c4FFj1QG7E7z8hPh0rAn1bAtsu_XknOWjGTwdNPKVzk_5sdkupmy8sPYdO5TRimxYXkSip7vGM7Mat5UWdEL7ezH7BP70AQ2x3U3" +
    "0nOlqXxET1udXSimPDd2kYMkiWZVo6yP3kYcwQ6ig1zKZRRdLMbtsa80uVI_JTE3z3W7i1v6tRSOHPOyfPaTlZuzFZhdRsywsDmDguyqMuDHSK" +
    "ykJsEmj5mgxTN55beQP78IYbAx6ZPpwJRt6iEgGLkkVKQ-qrvxHAI7i0W79tphun0OdPyHTYmqQu9NZZBxa1Gwu5x09FDMG3UPu9AI2zvn4Gwx" +
    "ZwXDkEQ__ZQA",
  RS384:
    "Taicd9-JtVIBvU0PdO8SlCqe_LZ0RUKxE3-_NuOyv0GelwfStx7QlQFcwY0bvNv0E4_ryN608Kn_G6MeN9J0ThylC8tUBVT1QQuV8A6Y-KY-oc" +
    "qYFMx5BzzIS4zUD1RiDkWoM5vY4NQHbsJgW7yLOYBrHbCdYEe6UoSc-yIFH_Ttyr_LbDzqccUqpOyIZkbIC7psvSuSGYzW-0YS1ILXA7VE-iD8" +
    "uRuvYx92o45SxpjydPe7m1O_2hX_fOoPB3i1mC12HyEomeM_CwOYcyyphmcTDZs2cSLnDX7mdqfi-mFW8rg_61J_p7bWyWehfgZxiex32Y8lLd" +
    "1-3PMB7gsu5w",
  RS512:
    "E0VyqKFHNDMUD4MZa8PoNozDdZKNfqGfd1V1NOpciRQIXoxq7QzCabCW7bWZbnxj02poH8MZ7UPBUqaMjbynTA9LUXXzwTJw9SvVef5h5HUV0l" +
    "0etBLfBv-3j3Y2aGR6CtzHatzYzEShpL0Ia4hdk89JN9HqOie-9-Lp1t3-hAJbHye3TARDCdlakJXjMiSalpOGnqvapOhEzWtrbh8PcvCOL7Qh" +
    "YrjS9aUAd3kUr1LF-D6EGP0TaFEybxBgbIfTEBOx-f3FYuN-fbDUVwhNNpC4oqTflavMCb49zzlsUIk8Hzk2RwoMCHr-qy_Rxdf1u4rXFUYnle" +
    "teQbWt2R11Hw",
  PS256:
    "qmHJ6I35kVRygI3qIdVyxKP88OSkaUEXQPzDjMeZSDa8TmPQ_NvncpJ1UGcIuNfUFsQNjd5JzxIlcVkSbQP-vT3ceq4mAuLfPEYbY3MPoEiSJ2" +
    "Uzojg0dZgnAFWh8gsbtPZbohOWw1MFW0JmDEPGrbY_8wP6YDhKTbKCFetE98dxkRz047ybsApEwg4CzOQA89YFHVDsBhlFiLPpO24f7doo7UOy" +
    "SL9e7GBr-bXnYqAzaYZu_CK47hQeEEXChaMHLTylKXvqwlFLUD93Na77gmvJbcqV6glzMAQ2x0xUsJQCSCuZbwZiz7Q23FYHAaBcFSdLvY4jT0" +
    "iyr66K3bv40g",
  PS384:
    "E6HSh35be5V0aF7b_ekxMgu0f6Vc2D2HGvWl6_ZkoVsUzm8Yi6IHLK7yIEmt4ikZgkg2CXBDZT4UnwTEhAfDdz2AfeUOQEYUqF70KTXVrrdKzt" +
    "gSAnhwb1nnr0yzPPEdpuXOgVMeEW8BwIsivaf2zCidCf2LnyeL9y6CVpqQnTshkcsILslbOWp8kN039M-sNTJmyL67c7ma-VY_542_iEIkqWWR" +
    "jaQLQLZoyCBffAhYpnbpPRi7Vc9Ah3-EWWqbvviHiszNHBJD9KJcWonnduYU57mAN38NQkYFhVGOGIZh3Hte3UP-eaOaPN8vxKdHbfBjwuktig" +
    "E0WZtOOiMwCQ",
  PS512:
    "gIthN9YM8qNKAlU_OH-8FkQHcXW0y3Ba-m_plQ2r7mJXp46XROqaC74uQ-8q4B3jiWl5OD41QQnfmgSka3_6zW6Nr4ApdUc0yBAZzHjCh0cgPF" +
    "5DDPOvNyXGOUpGJAfkcvM4hwKXhNR98LIfuqxGR54Q2Ef3FvYdha-npZjJFYOQELMqAuzFSxdbxbm6WuPkzD8C7ggP7uXlKwf9zQMkhNCbjVfT" +
    "6L2tifrEszJ6GFClC8Kpj7rUA9BkCfUJuMGu5iDgtIpimxpjPbjRsGXkO9tlxuvqddyHxB8iWvI88S5HyyZnTSYlFJaM1QtmpVriwk5pQJ6BdP" +
    "XjKvD6tlQXWQ",
};
