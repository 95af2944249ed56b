"""Chinese characters that are taken for each other: by sound, by shape, in the other script.

Small tables of frequent characters. In `SOUNDS` and `SHAPES` the characters of a group stand for
each other; a character may be in several groups.
"""

from __future__ import annotations

from collections.abc import Mapping

SOUNDS = """
的地得 在再载 做作坐座 已以意义议易医衣依一亿 他她它 那哪 吗嘛妈马码 账帐涨丈 像象向项
付负复服府父副福 订定 须需许 份分 决绝觉 力立利历例里理 即及级极急集几机计记技际
是事时市试式使十石世始师失室 间见建件减检简健渐坚 起其气期器企七汽奇齐 西息习喜希细席系
知之只直指制治至志质致职 子自字资 于与语育余预 元原院远愿园源员 个各格歌 工公共功供 和合何河核
会回惠汇 家加价假架佳 接结解界节借街阶 进今金近紧尽仅 经京境静精景 可科客课刻 过国果 还海害 好号
后候厚 话化花画 换还环 火货活或获 该改 看刊 快块 来赖 老劳 量两亮 没每美妹 们门 面免 明名 你尼
排派 品拼 请清情轻晴 去取区 全权 人任认 如入 上商伤 少烧 说硕 四死司思 送宋 算酸 退推 同通 头投
外歪 完晚玩 为位未味 问文闻 我握 线限先现 小笑校 新心信 行型形性 选宣 要药 业页叶夜 因音引印
应英影 用永 有又由右友 找早 着者这 真针 证正整政 支只枝 中种重钟 住主注祝助 转专 状装 走奏 最嘴
电店点典 单但担 查差茶 打大 到道倒 等登灯 第递弟底 发法 方房放 费飞非 跟根 购够构
"""

SHAPES = """
未末 己已巳 大太犬 天夫 土士 日曰目 人入八 干千于 王玉主 买卖 请清情晴睛 贷货 历厉 折拆 帐账
拨拔 住往 候侯 辨辩 侍待 末本 刀力 午牛 问间闪 今令 兔免 鸟乌 戊戌戍 密蜜 治冶 准淮 载栽 徒徙
微徽 坏环 杨扬 技枝 抱拖 换唤 提题 操澡 跳挑 话活 说税 谁请 很恨跟根 这还 没设 错借 单草 卡卞
网冈 电申由甲田 全金 余佘 幕墓募 贝见 几凡儿 兵乒 体休 旦且 具真 来米 名各 右石 爪瓜 已己 办为
开井
"""

TRADITIONAL = """
这這 个個 们們 为為 来來 时時 说說 国國 会會 学學 对對 发發 经經 过過 现現 进進 动動 没沒 开開
关關 后後 样樣 种種 间間 问問 题題 点點 无無 从從 业業 电電 话話 实實 应應 体體 机機 见見 长長
东東 车車 书書 钱錢 账賬 单單 订訂 货貨 买買 卖賣 价價 费費 请請 谢謝 认認 识識 记記 设設 证證
语語 读讀 谁誰 让讓 该該 还還 边邊 达達 运運 远遠 连連 迟遲 选選 适適 给給 结結 级級 红紅 约約
纸紙 组組 细細 终終 统統 线線 练練 网網 罗羅 义義 习習 乐樂 产產 亲親 亿億 仅僅 传傳 伤傷 优優
众眾 储儲 儿兒 写寫 军軍 农農 决決 况況 净淨 减減 几幾 击擊 划劃 则則 刚剛 创創 删刪 别別 办辦
务務 劳勞 势勢 区區 医醫 华華 协協 卫衛 压壓 厅廳 历歷 厂廠 县縣 参參 双雙 变變 号號 叶葉 吗嗎
听聽 启啟 员員 响響 团團 园園 围圍 图圖 圆圓 块塊 坏壞 场場 坚堅 声聲 处處 备備 复復 头頭 夺奪
奖獎 妈媽 妇婦 孙孫 宁寧 宝寶 审審 宫宮 宽寬 宾賓 导導 寻尋 将將 尔爾 尘塵 层層 属屬 岁歲 岛島
师師 帐帳 带帶 帮幫 广廣 庆慶 库庫 废廢 张張 强強 当當 录錄 忆憶 怀懷 态態 总總 恶惡 惊驚 惯慣
愿願 户戶 扩擴 扫掃 执執 扰擾 护護 报報 担擔 拥擁 择擇 换換 据據 损損 摄攝 数數 断斷 旧舊 显顯
术術 权權 条條 极極 构構 标標 树樹 档檔 桥橋 检檢 楼樓 欢歡 欧歐 气氣 汇匯 汉漢 沟溝 泽澤 测測
济濟 渐漸 温溫 湾灣 满滿 灯燈 灵靈 热熱 爱愛 状狀 独獨 环環 归歸 画畫 疗療 监監 盘盤 码碼 确確
礼禮 离離 积積 称稱 稳穩 笔筆 签簽 简簡 类類 粮糧 紧緊 缴繳 罚罰 职職 联聯 肃肅 脑腦 脚腳 腾騰
舰艦 艺藝 节節 获獲 药藥 营營 虑慮 虽雖 补補 装裝 规規 视視 览覽 觉覺 触觸 计計 讨討 训訓 许許
论論 访訪 评評 诉訴 词詞 试試 详詳 误誤 调調 谈談 谅諒 负負 财財 责責 败敗 质質 贵貴 贷貸 贸貿
资資 赏賞 赔賠 赞贊 赶趕 轮輪 软軟 转轉 轻輕 较較 输輸 辆輛 迁遷 递遞 遗遺 邮郵 释釋 钟鐘 铁鐵
银銀 错錯 锁鎖 锅鍋 门門 闭閉 闻聞 阅閱 队隊 阳陽 阶階 际際 陆陸 险險 随隨 难難 雾霧 静靜 页頁
顶頂 项項 顺順 须須 顾顧 预預 频頻 颜顏 额額 风風 飞飛 饭飯 饮飲 馆館 马馬 验驗 鱼魚 鸟鳥 麦麥
黄黃 龙龍 龄齡
"""


def others_by_character(groups: str) -> Mapping[str, str]:
    """Return the other characters of the groups of each character; groups: with blanks between."""
    found: dict[str, str] = {}
    for group in groups.split():
        for character in group:
            known = found.get(character, "")
            more = "".join(c for c in group if c != character and c not in known)
            found[character] = known + more
    return {character: others for character, others in found.items() if others}


HOMOPHONES = others_by_character(SOUNDS)
SIMILAR = others_by_character(SHAPES)
# Both ways.
SCRIPTS = others_by_character(TRADITIONAL)
